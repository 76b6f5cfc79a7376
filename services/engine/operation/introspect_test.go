package operation_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/services/engine/operation"
	"tenantry/services/engine/schema"
)

// standardQuery is what GraphiQL and code generators ask.
const standardQuery = `query IntrospectionQuery { __schema { description queryType { name kind } mutationType { name } subscriptionType { name }
	types { ...FullType } directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } } } }
fragment FullType on __Type { kind name description specifiedByURL isOneOf
	fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
	inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef }
	enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } }
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }`

// introspect answers the root fields of a query as one object.
func introspect(t *testing.T, s *schema.Schema, query string, vars map[string]any) string {
	t.Helper()
	op := prepare(t, s, query)
	vars, err := op.Coerce(vars)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, f := range op.Fields(op.Def.SelectionSet, vars, schema.QueryRoot) {
		text, err := op.Introspect(s, f, vars)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, fmt.Sprintf("%q:%s", f.Key, text))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

type (
	introspected struct {
		Schema struct {
			QueryType, MutationType, SubscriptionType *struct{ Name string }
			Types                                     []fullType
			Directives                                []struct{ Name string }
		} `json:"__schema"`
	}
	fullType struct {
		Kind, Name, Description string
		Fields                  []struct {
			Name string
			Args []inputValue
			Type typeRef
		}
		InputFields []inputValue
		EnumValues  []struct{ Name string }
		Interfaces  *[]typeRef
	}
	inputValue struct {
		Name         string
		Type         typeRef
		DefaultValue *string
	}
	typeRef struct {
		Kind   string
		Name   *string
		OfType *typeRef
	}
)

func (r typeRef) String() string {
	switch r.Kind {
	case "NON_NULL":
		return r.OfType.String() + "!"
	case "LIST":
		return "[" + r.OfType.String() + "]"
	}
	return *r.Name
}

func arguments(list []inputValue) string {
	if len(list) == 0 {
		return ""
	}
	return "(" + inputs(list) + ")"
}

func inputs(list []inputValue) string {
	var b strings.Builder
	for _, v := range list {
		fmt.Fprintf(&b, "%s: %s", v.Name, v.Type)
		if v.DefaultValue != nil {
			b.WriteString(" = " + *v.DefaultValue)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// sdl rebuilds a schema from an answer, as clients do.
func (x introspected) sdl() string {
	var b strings.Builder
	fmt.Fprintf(&b, "schema { query: %s\n", x.Schema.QueryType.Name)
	if x.Schema.MutationType != nil {
		fmt.Fprintf(&b, "mutation: %s\n", x.Schema.MutationType.Name)
	}
	b.WriteString("}\n")
	for _, t := range x.Schema.Types {
		if strings.HasPrefix(t.Name, "__") || map[string]bool{"Int": true, "Float": true, "String": true, "Boolean": true, "ID": true}[t.Name] {
			continue
		}
		switch t.Kind {
		case "SCALAR":
			fmt.Fprintf(&b, "scalar %s\n", t.Name)
		case "OBJECT":
			fmt.Fprintf(&b, "type %s {\n", t.Name)
			for _, f := range t.Fields {
				fmt.Fprintf(&b, "%s%s: %s\n", f.Name, arguments(f.Args), f.Type)
			}
			b.WriteString("}\n")
		case "INPUT_OBJECT":
			fmt.Fprintf(&b, "input %s {\n%s}\n", t.Name, inputs(t.InputFields))
		case "ENUM":
			fmt.Fprintf(&b, "enum %s {\n", t.Name)
			for _, v := range t.EnumValues {
				b.WriteString(v.Name + "\n")
			}
			b.WriteString("}\n")
		}
	}
	return b.String()
}

func TestAClientCanRebuildTheSchemaFromTheStandardQuery(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"admin", "manager", "customer", "nobody"} {
		s := shop(t, role)
		var x introspected
		if err := json.Unmarshal([]byte(introspect(t, s, standardQuery, nil)), &x); err != nil {
			t.Fatal(err)
		}
		rebuilt, err := gqlparser.LoadSchema(&ast.Source{Input: x.sdl()})
		if err != nil {
			t.Fatalf("%s: %v", role, err)
		}
		full := s.Full()
		for name, d := range full.Types {
			other := rebuilt.Types[name]
			if other == nil {
				t.Errorf("%s: type %s is missing", role, name)
				continue
			}
			if strings.HasPrefix(name, "__") {
				continue
			}
			for _, f := range d.Fields {
				if o := other.Fields.ForName(f.Name); o == nil || o.Type.String() != f.Type.String() || len(o.Arguments) != len(f.Arguments) {
					t.Errorf("%s: %s.%s differs", role, name, f.Name)
				}
			}
		}
		if len(x.Schema.Directives) < 4 {
			t.Errorf("%s: directives %v", role, x.Schema.Directives)
		}
	}
}

func TestIntrospectionAnswersInTheOrderOfTheSelection(t *testing.T) {
	t.Parallel()
	s := shop(t, "customer")
	got := introspect(t, s, `query($all: Boolean) {
		speed: __type(name: "Speed") { enumValues { name description } __typename k: kind }
		all: __type(name: "Speed") { enumValues(includeDeprecated: $all) { ...v } }
		hidden: __type(name: "stock_items") { name }
		kinds: __type(name: "__TypeKind") { enumValues { name } }
		orders: __type(name: "orders") { fields { name type { kind name ofType { name } } } interfaces { name } inputFields { name } description }
	} fragment v on __EnumValue { name isDeprecated deprecationReason }`, map[string]any{"all": true})
	want := `{"speed":{"enumValues":[{"name":"FAST","description":"Tomorrow."},{"name":"SLOW","description":null}],"__typename":"__Type","k":"ENUM"},` +
		`"all":{"enumValues":[{"name":"FAST","isDeprecated":false,"deprecationReason":null},{"name":"PIGEON","isDeprecated":true,"deprecationReason":"No longer supported"},{"name":"SLOW","isDeprecated":false,"deprecationReason":null}]},` +
		`"hidden":null,` +
		`"kinds":{"enumValues":[{"name":"ENUM"},{"name":"INPUT_OBJECT"},{"name":"INTERFACE"},{"name":"LIST"},{"name":"NON_NULL"},{"name":"OBJECT"},{"name":"SCALAR"},{"name":"UNION"}]},` +
		`"orders":{"fields":[{"name":"customer","type":{"kind":"OBJECT","name":"customers","ofType":null}},{"name":"id","type":{"kind":"NON_NULL","name":null,"ofType":{"name":"Int"}}},{"name":"note","type":{"kind":"SCALAR","name":"String","ofType":null}},{"name":"placed_at","type":{"kind":"NON_NULL","name":null,"ofType":{"name":"timestamptz"}}}],"interfaces":[],"inputFields":null,"description":null}}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func FuzzPrepare(f *testing.F) {
	s := shop(f, "manager")
	for _, seed := range []string{standardQuery, `{ customers(where: {name: {_eq: "a"}}) { id ...f } } fragment f on customers { orders { id } }`,
		`mutation($o: [customers_insert_input!]!) { insert_customers(objects: $o) { returning { id } } }`, "{ a(b: \"\"\"x\"\"\") }"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		op, err := operation.Prepare(s, query, "")
		if err != nil {
			return
		}
		if again, err := operation.HashText(op.Text); err == nil && again != op.Hash {
			t.Errorf("the hash of the normalised text differs: %s", op.Text)
		}
		vars, err := op.Coerce(map[string]any{})
		if err != nil {
			return
		}
		op.Fields(op.Def.SelectionSet, vars, s.RootType(op.Type))
	})
}
