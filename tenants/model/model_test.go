package model_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// market is the catalog of a real database, kept fresh by introspect's test.
func market(t *testing.T) map[string]*catalog.Catalog {
	t.Helper()
	text, err := os.ReadFile("../../services/engine/introspect/testdata/market.json")
	if err != nil {
		t.Fatal(err)
	}
	c := &catalog.Catalog{}
	if err := json.Unmarshal(text, c); err != nil {
		t.Fatal(err)
	}
	return map[string]*catalog.Catalog{"default": c}
}

func decode(t *testing.T, text string) *metadata.Document {
	t.Helper()
	doc, err := metadata.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestADocumentResolvesAgainstARealCatalog(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/market.json")
	if err != nil {
		t.Fatal(err)
	}
	m := model.Resolve(decode(t, string(text)), market(t), model.Options{})
	if !m.Consistent() {
		t.Errorf("inconsistent: %+v", m.Inconsistencies)
	}
	got := describe(m)
	const golden = "testdata/market.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the model differs from %s:\n%s", golden, got)
	}
}

// describe is a model as text, for golden files.
func describe(m *model.Model) string {
	var b strings.Builder
	for _, t := range m.Tables {
		fmt.Fprintf(&b, "table %s type %s roots %s %s %s %s comment %q\n", t.Name, t.Type,
			t.Root.Select.Name, t.Root.SelectByPK.Name, t.Root.Insert.Name, t.Root.DeleteByPK.Name, t.Comment)
		for _, c := range t.Columns {
			fmt.Fprintf(&b, "  column %s is %q: %s list %t nullable %t category %s comment %q\n",
				c.Name, c.StoredName(), c.Scalar, c.List(), c.Nullable, c.Category, c.Comment)
		}
		for _, k := range t.PrimaryKey {
			fmt.Fprintf(&b, "  key %s\n", k.Name)
		}
		for _, r := range t.Relationships {
			fmt.Fprintf(&b, "  relationship %s array %t to %s by %v nullable %t\n", r.Name, r.Array, r.Target.Name, r.Mapping, r.Nullable)
		}
	}
	for _, a := range m.Actions {
		fmt.Fprintf(&b, "action %s query %t %v: %s roles %v\n", a.Name, a.Query, a.Arguments, a.Output, a.Roles)
	}
	for _, name := range []string{"Placed", "Line", "Speed", "Anything", "uuid", "numeric"} {
		if t := m.Types[name]; t != nil {
			fmt.Fprintf(&b, "type %s %s fields %v builtin %t\n", t.Name, t.Kind, t.Fields, t.BuiltIn)
			for _, r := range t.Relationships {
				fmt.Fprintf(&b, "  relationship %s array %t to %s by %v\n", r.Name, r.Array, r.Target.Name, r.Mapping)
			}
		}
	}
	for _, w := range m.Warnings {
		fmt.Fprintf(&b, "warning %s: %s\n", w.Name, w.Reason)
	}
	fmt.Fprintf(&b, "roles %v\n", m.Roles)
	return b.String()
}

// document is a document with these tables and, after a comma, other keys.
func document(tables, rest string) string {
	if rest != "" {
		rest = "," + rest
	}
	return `{"version":3,"sources":[{"name":"default","kind":"postgres","configuration":{"connection_info":{"database_url":"x"}},"tables":[` +
		tables + `]}]` + rest + `}`
}

func TestWhatDoesNotResolveIsReportedAndTheRestServed(t *testing.T) {
	t.Parallel()
	const orders = `{"table":"orders"}`
	action := func(definition string) string {
		return `"actions":[{"name":"go","definition":{"handler":"x",` + definition + `}}]`
	}
	object := func(more string) string {
		return `"custom_types":{"objects":[{"name":"O","fields":[{"name":"id","type":"uuid"},{"name":"ids","type":"[uuid]"}],"relationships":[` + more + `]}]}`
	}
	for name, c := range map[string]struct {
		tables, rest string
		// want is "type|name|pointer|part of the reason" of each inconsistency.
		want []string
		// tables and actions that are served.
		served int
	}{
		"a table that the database does not have": {
			tables: orders + `,{"table":{"schema":"billing","name":"gone"}}`, served: 1,
			want: []string{`table|table billing.gone in source default|$.sources[0].tables[1]|Inconsistent object: no such table/view exists in source: "billing.gone"`},
		},
		"a table whose name is no GraphQL name": {
			tables: `{"table":"orders","object_relationships":[{"name":"a","using":{"manual_configuration":{"remote_table":"users address","column_mapping":{"id":"id"}}}}]},{"table":"users address"}`, served: 1,
			want: []string{`object_relation|object_relation a in table orders in source default|$.sources[0].tables[0].object_relationships[0]|Inconsistent object: table "users address" is not tracked`},
		},
		"a custom name that is no GraphQL name": {
			tables: orders + `,{"table":"customer","configuration":{"custom_name":"a b"}}`, served: 1,
			want: []string{`table|table customer in source default|$.sources[0].tables[1]|the custom name "a b"`},
		},
		"an event trigger on a column that is not there": {
			tables: `{"table":"orders","event_triggers":[{"name":"e","definition":{"insert":{"columns":"*"},"update":{"columns":["nope"]}},"webhook":"http://w"}]}`, served: 1,
			want: []string{`event_trigger|event_trigger e in table orders in source default|$.sources[0].tables[0].event_triggers[0]|in event trigger "e": column "nope" of update does not exist in table "orders"`},
		},
		"a custom root field that another table has": {
			tables: orders + `,{"table":"customer","configuration":{"custom_root_fields":{"select_by_pk":"orders"}}}`, served: 1,
			want: []string{`table|table orders in source default|$.sources[0].tables[0]|for field 'orders' defined in [table customer in source default, table orders in source default]. Fields must`},
		},
		"types of two tables with one name": {
			tables: orders + `,{"table":"customer","configuration":{"custom_name":"orders_bool_exp"}}`, served: 1,
			want: []string{`table|table orders in source default|$.sources[0].tables[0]|the type name "orders_bool_exp" of table orders in source default is already used by table customer`},
		},
		"a configured column that does not exist": {
			tables: `{"table":"orders","configuration":{"column_config":{"nix":{"custom_name":"x"}}}}`, served: 1,
			want: []string{`table|table orders in source default|$.sources[0].tables[0].configuration|column "nix" of the configuration does not exist in table "orders"`},
		},
		"two columns with one GraphQL name": {
			tables: `{"table":"orders","configuration":{"column_config":{"total":{"custom_name":"id"}}}}`, served: 1,
			want: []string{`table|table orders in source default|$.sources[0].tables[0].configuration|the columns "id" and "total" have the same GraphQL name "id"`},
		},
		"relationships to nowhere": {
			tables: `{"table":"orders","object_relationships":[
			  {"name":"a","using":{"foreign_key_constraint_on":"customer_id"}},
			  {"name":"b","using":{"foreign_key_constraint_on":"total"}},
			  {"name":"c","using":{"foreign_key_constraint_on":"nix"}},
			  {"name":"d","using":{"manual_configuration":{"remote_table":"orders","column_mapping":{"id":"nix"}}}},
			  {"name":"id","using":{"manual_configuration":{"remote_table":"orders","column_mapping":{"id":"id"}}}}],
			 "array_relationships":[{"name":"e","using":{"foreign_key_constraint_on":{"table":"gone","column":"x"}}}]}`, served: 1,
			want: []string{
				`object_relation|object_relation a in table orders in source default|$.sources[0].tables[0].object_relationships[0]|table "customer" is not tracked`,
				`object_relation|object_relation b in table orders in source default|$.sources[0].tables[0].object_relationships[1]|no foreign key constraint exists on the columns ["total"] of table "orders"`,
				`object_relation|object_relation c in table orders in source default|$.sources[0].tables[0].object_relationships[2]|column "nix" does not exist in table "orders"`,
				`object_relation|object_relation d in table orders in source default|$.sources[0].tables[0].object_relationships[3]|column "nix" of column_mapping`,
				`object_relation|object_relation id in table orders in source default|$.sources[0].tables[0].object_relationships[4]|field definition conflicts with postgres column`,
				`array_relation|array_relation e in table orders in source default|$.sources[0].tables[0].array_relationships[0]|in table "orders": in relationship "e": table "gone" does not exist in source: default`,
			},
		},
		"an action with every mistake": {
			rest: action(`"type":"subscription","arguments":[{"name":"a","type":"[Nix"},{"name":"a","type":"Nix!"}],"output_type":"Nope"`),
			want: []string{
				`action|action go|$.actions[0].definition.type|the type "subscription" is neither`,
				`action|action go|$.actions[0].definition.arguments[0].type|not a GraphQL type`,
				`action|action go|$.actions[0].definition.arguments[1].name|the argument "a" is defined twice`,
				`action|action go|$.actions[0].definition.arguments[1].type|the type "Nix" of the argument "a" is not defined in custom types`,
				`action|action go|$.actions[0].definition.output_type|the output type "Nope" is not defined in custom types`,
			},
		},
		"objects as arguments and inputs as outputs": {
			rest: action(`"arguments":[{"name":"a","type":"O"}],"output_type":"I"`) +
				`,"custom_types":{"objects":[{"name":"O","fields":[{"name":"a","type":"Int"}]}],"input_objects":[{"name":"I","fields":[{"name":"a","type":"Int"}]}]}`,
			want: []string{
				`action|action go|$.actions[0].definition.arguments[0].type|has the object type "O", which is for outputs`,
				`action|action go|$.actions[0].definition.output_type|"I" is an input object type, which is for arguments`,
			},
		},
		"an action with a table's root field": {
			tables: orders, rest: `"actions":[{"name":"insert_orders","definition":{"handler":"x","output_type":"Int"}}]`, served: 1,
			want: []string{`action|action insert_orders|$.actions[0].name|for 'mutation_root' for field 'insert_orders' defined in [action insert_orders, table orders in source default]`},
		},
		"a custom type with a table type's name": {
			tables: orders, rest: `"custom_types":{"objects":[{"name":"orders","fields":[{"name":"a","type":"Int"}]}]}`, served: 1,
			want: []string{`custom_types|custom_types custom_types|$.custom_types.objects[0].name|the type name "orders" of the custom type orders is already used by table orders in source default`},
		},
		"a field with the type of a table": {
			tables: orders, rest: `"custom_types":{"objects":[{"name":"A","fields":[{"name":"o","type":"orders"}]}]}`, served: 1,
			want: []string{`custom_types|custom_types custom_types|$.custom_types.objects[0].fields[0].type|the type "orders" for field "o" in  object type "A" does not exist`},
		},
		"input objects that need one another without an end": {
			rest: `"custom_types":{"input_objects":[{"name":"A","fields":[{"name":"b","type":"B!"}]},{"name":"B","fields":[{"name":"x","type":"Int"},{"name":"a","type":"A!"}]},
				{"name":"C","fields":[{"name":"a","type":"C"},{"name":"b","type":"[C!]!"},{"name":"c","type":"D!"}]},{"name":"D","fields":[{"name":"c","type":"C"}]}]}`,
			want: []string{
				`custom_types|custom_types custom_types|$.custom_types.input_objects[0].fields[0].type|no value fits the input object type "A": its field "b" needs one of "A" inside`,
				`custom_types|custom_types custom_types|$.custom_types.input_objects[1].fields[1].type|no value fits the input object type "B": its field "a"`,
			},
		},
		"a type that refers to a wrong one falls with it": {
			rest: `"custom_types":{"objects":[{"name":"A","fields":[{"name":"b","type":"B"}]},{"name":"B","fields":[{"name":"c","type":"Nix"},{"name":"b","type":"B"},{"name":"d","type":"[Nope!]"}]},{"name":"C","fields":[{"name":"x","type":"geography"}]}]}`,
			want: []string{
				`custom_types|custom_types custom_types|$.custom_types.objects[1].fields[0].type|the type "Nix" for field "c" in  object type "B" does not exist`,
				`custom_types|custom_types custom_types|$.custom_types.objects[1].fields[2].type|the type "Nope" for field "d" in  object type "B" does not exist`,
				`custom_types|custom_types custom_types|$.custom_types.objects[0].fields[0].type|the type "B" for field "b" in  object type "A" does not exist`,
			},
		},
		"wrong relationships of an object": {
			tables: orders, served: 1,
			rest: object(`{"name":"r1","type":"array","remote_table":"orders","field_mapping":{"ids":"id"}},
			  {"name":"r2","type":"array","remote_table":"orders","field_mapping":{"nix":"nope"}},
			  {"name":"id","type":"one","remote_table":"customer","field_mapping":{}}`),
			want: []string{
				`custom_types|custom_types custom_types|$.custom_types.objects[0].relationships[0].field_mapping.ids|the type of the field "ids" for relationship "r1" in object type "O" is a list type`,
				`custom_types|custom_types custom_types|$.custom_types.objects[0].relationships[1].field_mapping.nix|the field "nix" for relationship "r2"`,
				`custom_types|custom_types custom_types|$.custom_types.objects[0].relationships[1].field_mapping.nix|the column "nope" of remote table "orders"`,
				`custom_types|custom_types custom_types|$.custom_types.objects[0].relationships[2].name|already used`,
				`custom_types|custom_types custom_types|$.custom_types.objects[0].relationships[2].type|neither object nor array`,
				`custom_types|custom_types custom_types|$.custom_types.objects[0].relationships[2].remote_table|table "customer" is not tracked`,
				`custom_types|custom_types custom_types|$.custom_types.objects[0].relationships[2].field_mapping|is empty`,
			},
		},
		"wrong keys of an asynchronous action": {
			rest: action(`"kind":"asynchronous","type":"query","output_type":"Int","max_age_seconds":-1,"retry":{"max_attempts":51,"on":["4xx"],"backoff":-1}`),
			want: []string{
				`action|action go|$.actions[0].definition.kind|a query can't be asynchronous`,
				`action|action go|$.actions[0].definition.max_age_seconds|the maximum age is negative`,
				`action|action go|$.actions[0].definition.retry.max_attempts|expected 1 to 50 attempts, got 51`,
				`action|action go|$.actions[0].definition.retry.backoff|expected 0 to 3600 seconds`,
				`action|action go|$.actions[0].definition.retry.on[0]|"4xx" is none of [429 5xx network]`,
			},
		},
		"a mutation that is retried without a promise of its handler": {
			rest: action(`"output_type":"Int","retry":{"max_attempts":11,"on":["5xx"],"backoff":31},"max_concurrency":-1,"timeout":-1,
				"headers":[{"name":"X-Fine","value":"{{A}}"},{"name":"no header","value":"a\nb"}],"forward_response_headers":["x-fine","no header","content-length","Access-Control-Allow-Origin"]`),
			want: []string{
				`action|action go|$.actions[0].definition.timeout|the timeout is negative`,
				`action|action go|$.actions[0].definition.headers[1].name|"no header" is not the name of a header`,
				`action|action go|$.actions[0].definition.headers[1].value|the header "no header" has a value that HTTP does not allow`,
				`action|action go|$.actions[0].definition.max_concurrency|expected 0 to 10000 calls at a time, got -1`,
				`action|action go|$.actions[0].definition.forward_response_headers[1]|"no header" is not the name of a header`,
				`action|action go|$.actions[0].definition.forward_response_headers[2]|"content-length" is a header that the server decides about`,
				`action|action go|$.actions[0].definition.forward_response_headers[3]|"Access-Control-Allow-Origin" is a header that the server decides about`,
				`action|action go|$.actions[0].definition.retry|a mutation may be retried only with "idempotency": true`,
				`action|action go|$.actions[0].definition.retry.max_attempts|expected 1 to 10 attempts, got 11`,
				`action|action go|$.actions[0].definition.retry.backoff|expected 0 to 30 seconds`,
				`action|action go|$.actions[0].definition.retry.on[0]|"5xx" is none of [connect timeout 502 503 504]`,
			},
		},
		"keys that would be without effect": {
			rest: action(`"type":"query","output_type":"Int","max_age_seconds":60,"retry":{"max_attempts":0}`),
			want: []string{
				`action|action go|$.actions[0].definition.max_age_seconds|expected no maximum age: only an action of the kind "asynchronous" has runs`,
				`action|action go|$.actions[0].definition.retry.max_attempts|expected 1 to 10 attempts, got 0`,
			},
		},
		"a timeout of the dialect that stands for the default": {rest: action(`"output_type":"Int","timeout":0`), served: 1},
		"a type of an asynchronous action's name": {
			rest: action(`"kind":"asynchronous","output_type":"Int"`) + `,"custom_types":{"scalars":[{"name":"go"}]}`,
			want: []string{`action|action go|$.actions[0].name|the type name "go" of action go is already used by the custom type go`},
		},
		"everything that this version does not serve": {
			tables: `{"table":"orders","event_triggers":[{"name":"e","definition":{"enable_manual":true},"webhook":"http://w"}],"remote_relationships":[{"name":"r","definition":{"to_remote_schema":{"remote_schema":"rs"}}}]}`,
			rest:   `"remote_schemas":[{"name":"rs"}],"cron_triggers":[{"name":"ct","webhook":"http://w","schedule":"* * * * *","include_in_metadata":true}]`,
			served: 1,
			want: []string{
				`remote_schema|remote_schema rs|$.remote_schemas[0]|remote schemas are not supported by this version`,
				`cron_trigger|cron_trigger ct|$.cron_triggers[0]|cron triggers are not supported by this version`,
				`event_trigger|event_trigger e in table orders in source default|$.sources[0].tables[0].event_triggers[0]|event triggers are not supported by this version`,
				`remote_relationship|remote_relationship r in table orders in source default|$.sources[0].tables[0].remote_relationships[0]|relationships to remote schemas are not supported by this version`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := model.Resolve(decode(t, document(c.tables, c.rest)), market(t), model.Options{})
			if m.Consistent() != (len(c.want) == 0) {
				t.Errorf("Consistent() is %t", m.Consistent())
			}
			if got := len(m.Tables) + len(m.Actions); got != c.served {
				t.Errorf("%d tables and actions are served, want %d", got, c.served)
			}
			if len(m.Inconsistencies) != len(c.want) {
				t.Fatalf("got %d inconsistencies, want %d: %+v", len(m.Inconsistencies), len(c.want), m.Inconsistencies)
			}
			for i, got := range m.Inconsistencies {
				line := strings.Join([]string{got.Type, got.Name, got.Pointer, got.Reason}, "|")
				want := strings.SplitAfterN(c.want[i], "|", 4)
				if !strings.HasPrefix(line, want[0]+want[1]+want[2]) || !strings.Contains(got.Reason, want[3]) {
					t.Errorf("inconsistency %d is\n %s\nwant\n %s", i, line, c.want[i])
				}
				if got.Definition == nil {
					t.Errorf("inconsistency %d has no definition", i)
				}
			}
		})
	}
}

func TestNamesOfAnOutputTypeGoBeforeThoseOfItsAggregates(t *testing.T) {
	t.Parallel()
	array := func(name string) string {
		return `{"name":"` + name + `","type":"array","remote_table":"orders","field_mapping":{"id":"id"}}`
	}
	m := model.Resolve(decode(t, document(`{"table":"orders"}`, `"custom_types":{"objects":[{"name":"O",
		"fields":[{"name":"id","type":"uuid"},{"name":"a_aggregate","type":"Int"}],
		"relationships":[`+array("a")+`,`+array("b")+`,`+array("b_aggregate")+`,`+array("c")+`]}]}`)), market(t), model.Options{})
	if !m.Consistent() {
		t.Fatalf("inconsistent: %+v", m.Inconsistencies)
	}
	for name, want := range map[string]string{"a": "", "b": "", "b_aggregate": "b_aggregate_aggregate", "c": "c_aggregate"} {
		if r, ok := m.Types["O"].Relationship(name); !ok || r.AggregateName != want {
			t.Errorf("%s: %+v, expected the aggregate %q", name, r, want)
		}
	}
	if r, aggregate, ok := m.Types["O"].Related("b_aggregate"); !ok || aggregate || r.Name != "b_aggregate" {
		t.Errorf("b_aggregate is %+v", r)
	}
	if r, aggregate, ok := m.Types["O"].Related("c_aggregate"); !ok || !aggregate || r.Name != "c" {
		t.Errorf("c_aggregate is %+v", r)
	}
}

func TestASourceWithoutACatalogIsInconsistent(t *testing.T) {
	t.Parallel()
	m := model.Resolve(decode(t, document(`{"table":"orders"}`, "")), nil, model.Options{})
	if len(m.Inconsistencies) != 1 || m.Inconsistencies[0].Type != "source" {
		t.Errorf("got %+v", m.Inconsistencies)
	}
}

func TestForeignKeysSuggestRelationships(t *testing.T) {
	t.Parallel()
	c := market(t)["default"]
	tracked := map[catalog.Name]bool{}
	for _, table := range c.Tables {
		tracked[table.Name] = table.Name.Name != "invoice"
	}
	existing := map[catalog.Name]map[string]bool{{Schema: "public", Name: "orders"}: {"order_items": true}}
	var got []string
	for _, s := range model.SuggestRelationships(c, tracked, existing) {
		got = append(got, fmt.Sprintf("%s.%s %t %v %s %v", s.Table.Name, s.Name, s.Array, s.LocalColumns, s.Remote.Name, s.RemoteColumns))
	}
	want := []string{
		"category.parent false [parent_id] category [id]",
		"category.categories true [id] category [parent_id]",
		"order_item.order false [order_id] orders [id]",
		"orders.order_items_by_order_id true [id] order_item [order_id]",
		"order_item.product false [product_id] product [id]",
		"product.order_items true [id] order_item [product_id]",
		"orders.customer false [customer_id] customer [id]",
		"customer.orders true [id] orders [customer_id]",
		"orders.customer_by_billed_to false [billed_to] customer [id]",
		"customer.orders_by_billed_to true [id] orders [billed_to]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
