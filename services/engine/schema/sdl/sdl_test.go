package sdl_test

import (
	"errors"
	"reflect"
	"testing"

	"tenantry/services/engine/schema/sdl"
	"tenantry/tenants/metadata"
)

const placeOrder = `type Mutation { "Writes an order." placeOrder("What." items: [OrderItem!]!, note: String): PlacedOrder }
input OrderItem { product_id: uuid!  quantity: Int!  speed: Speed }
"What became of it."
type PlacedOrder { order_id: uuid!  "In euros." total: numeric  warnings: [Warning!] }
type Warning { text: String! extra: Anything }
enum Speed { "Tomorrow." FAST SLOW PIGEON @deprecated }
scalar Anything`

func TestAnActionsTextBecomesMetadata(t *testing.T) {
	t.Parallel()
	got, err := sdl.ParseAction(placeOrder, "placeOrder")
	if err != nil {
		t.Fatal(err)
	}
	want := sdl.Action{
		Comment: "Writes an order.",
		Definition: metadata.ActionDefinition{Type: "mutation", OutputType: "PlacedOrder", Arguments: []metadata.Argument{
			{Name: "items", Type: "[OrderItem!]!", Description: "What."}, {Name: "note", Type: "String"}}},
		Types: metadata.CustomTypes{
			Scalars: []metadata.ScalarType{{Name: "Anything"}},
			Enums: []metadata.EnumType{{Name: "Speed", Values: []metadata.EnumValue{
				{Value: "FAST", Description: "Tomorrow."}, {Value: "SLOW"}, {Value: "PIGEON", IsDeprecated: true}}}},
			InputObjects: []metadata.InputType{{Name: "OrderItem", Fields: []metadata.Argument{
				{Name: "product_id", Type: "uuid!"}, {Name: "quantity", Type: "Int!"}, {Name: "speed", Type: "Speed"}}}},
			Objects: []metadata.ObjectType{
				{Name: "PlacedOrder", Description: "What became of it.", Fields: []metadata.Argument{
					{Name: "order_id", Type: "uuid!"}, {Name: "total", Type: "numeric", Description: "In euros."}, {Name: "warnings", Type: "[Warning!]"}}},
				{Name: "Warning", Fields: []metadata.Argument{{Name: "text", Type: "String!"}, {Name: "extra", Type: "Anything"}}}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestAllMistakesAreToldWithTheirPlaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []sdl.Problem
	}{
		{"type Mutation {", []sdl.Problem{{1, 16, "Expected Name, found <EOF>"}}},
		{"scalar A", []sdl.Problem{{1, 1, "expected type Mutation or type Query with the field 'act'"}}},
		{"type Query { act: Int other: Int }", []sdl.Problem{{1, 23, "expected only the field 'act', found 'other'"}}},
		{"type Query { act: Int }\nextend type Mutation { act: Int }", []sdl.Problem{{2, 24, "the field 'act' is defined twice"}}},
		{"type Mutation { act(a: O = 1): I! @x }\ntype O { a(b: Int): Int __c: Int }\ninput I { o: O }\nunion U = O\ninterface N { a: Int }\nscalar Int\nenum E { A A B @deprecated(reason: \"x\") }\ntype Subscription { a: Int }\nscalar E", []sdl.Problem{
			{1, 17, "'I' is an input type and can't be used as output: declare a type"},
			{1, 21, "'a' has a default value, which actions do not support"},
			{1, 21, "'O' is an object type and can't be used as input: declare an input"},
			{1, 36, "the directive @x is not supported here"},
			{2, 10, "the field 'a' has arguments: only the action's own field may have them"},
			{2, 25, "the name '__c' is reserved: names must not begin with two underscores"},
			{3, 11, "'O' is an object type and can't be used as input: declare an input"},
			{4, 7, "'U': interfaces and unions are not supported"},
			{5, 11, "'N': interfaces and unions are not supported"},
			{6, 8, "the scalar 'Int' is built in and can't be declared"},
			{7, 12, "the value 'A' occurs twice"},
			{7, 17, "@deprecated can't have a reason here: write it into the description"},
			{8, 6, "an action is a field of Mutation or Query, not of Subscription"},
			{9, 8, "the type 'E' is declared twice"},
		}},
	} {
		_, err := sdl.ParseAction(c.text, "act")
		var got *sdl.Error
		if !errors.As(err, &got) {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if !reflect.DeepEqual(got.Problems, c.want) {
			t.Errorf("%s\ngot\n%v\nwant\n%v", c.text, got, &sdl.Error{Problems: c.want})
		}
	}
}

// document holds one action as its text says.
func document(t testing.TB, text, name string) *metadata.Document {
	t.Helper()
	a, err := sdl.ParseAction(text, name)
	if err != nil {
		t.Fatal(err)
	}
	return &metadata.Document{CustomTypes: &a.Types, Actions: []metadata.Action{{Name: name, Comment: a.Comment, Definition: a.Definition}}}
}

func TestPrintingAndReadingAnActionGivesTheSame(t *testing.T) {
	t.Parallel()
	doc := document(t, placeOrder, "placeOrder")
	text := sdl.PrintAction(doc, &doc.Actions[0])
	again, err := sdl.ParseAction(text, "placeOrder")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if want, _ := sdl.ParseAction(placeOrder, "placeOrder"); !reflect.DeepEqual(again, want) {
		t.Errorf("got %+v\nwant %+v\n%s", again, want, text)
	}
}

func TestIdenticalTypesAreSharedAndDifferentOnesConflict(t *testing.T) {
	t.Parallel()
	doc := document(t, placeOrder, "placeOrder")
	doc.CustomTypes.Objects[0].Relationships = []metadata.TypeRelationship{{Name: "order", Type: "object"}}
	same, err := sdl.ParseAction(`type Query { check(speed: Speed): Warning! } type Warning { text: String! extra: Anything } scalar Anything enum Speed { "Tomorrow." FAST SLOW PIGEON @deprecated } type New { a: Int }`, "check")
	if err != nil {
		t.Fatal(err)
	}
	merged, err := sdl.MergeTypes(doc, same.Types, "check")
	if err != nil {
		t.Fatal(err)
	}
	if len(merged.Objects) != 3 || len(merged.Scalars) != 1 || len(merged.Enums) != 1 || len(merged.Objects[0].Relationships) != 1 {
		t.Errorf("merged into %+v", merged)
	}
	other, err := sdl.ParseAction(`type Query { check(speed: Speed): Warning! } type Warning { text: String } scalar OrderItem enum Speed { FAST }`, "check")
	if err != nil {
		t.Fatal(err)
	}
	_, err = sdl.MergeTypes(doc, other.Types, "check")
	var conflict *sdl.ConflictError
	if !errors.As(err, &conflict) {
		t.Fatalf("got %v", err)
	}
	want := []sdl.Conflict{{"OrderItem", []string{"placeOrder"}}, {"Speed", []string{"placeOrder"}}, {"Warning", []string{"placeOrder"}}}
	if !reflect.DeepEqual(conflict.Conflicts, want) || conflict.Action != "check" {
		t.Errorf("got %+v", conflict)
	}
	// The action may change what only it uses.
	if _, err := sdl.MergeTypes(doc, other.Types, "placeOrder"); err != nil {
		t.Errorf("replacing an action's own types: %v", err)
	}
}

func TestOwnedTypesAreThoseThatNobodyElseUses(t *testing.T) {
	t.Parallel()
	doc := document(t, placeOrder, "placeOrder")
	doc.Actions = append(doc.Actions, metadata.Action{Name: "check", Definition: metadata.ActionDefinition{OutputType: "[Warning!]"}})
	doc.CustomTypes.Objects = append(doc.CustomTypes.Objects, metadata.ObjectType{Name: "Loose", Fields: []metadata.Argument{{Name: "speed", Type: "Speed"}}})
	if got, want := sdl.Owned(doc, "placeOrder"), []string{"OrderItem", "PlacedOrder"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func FuzzParseAction(f *testing.F) {
	f.Add(placeOrder)
	f.Add("extend type Query { \"\"\"a\n  b\"\"\" placeOrder: [[Int!]]! }")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := sdl.ParseAction(text, "placeOrder")
		if err != nil {
			var all *sdl.Error
			if !errors.As(err, &all) || len(all.Problems) == 0 {
				t.Fatalf("an error without problems: %v", err)
			}
			return
		}
		doc := &metadata.Document{CustomTypes: &a.Types, Actions: []metadata.Action{{Name: "placeOrder", Comment: a.Comment, Definition: a.Definition}}}
		printed := sdl.PrintAction(doc, &doc.Actions[0])
		again, err := sdl.ParseAction(printed, "placeOrder")
		if err != nil {
			t.Fatalf("%v\n%s", err, printed)
		}
		if !reflect.DeepEqual(again.Definition, a.Definition) || again.Comment != a.Comment {
			t.Errorf("the signature changed:\n%s\n%s", text, printed)
		}
	})
}
