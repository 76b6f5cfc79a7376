package model_test

import (
	"fmt"
	"strings"
	"testing"

	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// twoSources is the market with a source of the same tables beside it, in which
// the catalog is left out of a third one.
func twoSources(t *testing.T, relationships string) *model.Model {
	t.Helper()
	source := func(name, tables string) string {
		return `{"name":"` + name + `","customization":{"type_names":{"prefix":"` + name + `_"},"root_fields":{"prefix":"` + name + `_"}},
			"configuration":{"connection_info":{"database_url":"x"}},"tables":[` + tables + `]}`
	}
	doc := decode(t, `{"version":3,"sources":[`+
		source("default", `{"table":"product","remote_relationships":[`+relationships+`]},{"table":"order_item"}`)+`,`+
		source("other", `{"table":"product"},{"table":"customer"},{"table":"orders"},{"table":"gone"}`)+`,`+source("lost", "")+`]}`)
	c := market(t)["default"]
	return model.Resolve(doc, map[string]*catalog.Catalog{"default": c, "other": c}, model.Options{})
}

func toSource(name, kind, source, table, mapping string) string {
	return fmt.Sprintf(`{"name":%q,"definition":{"to_source":{"source":%q,"table":%q,"relationship_type":%q,"field_mapping":{%s}}}}`, name, source, table, kind, mapping)
}

func TestARelationshipToAnotherSourceResolves(t *testing.T) {
	t.Parallel()
	m := twoSources(t, strings.Join([]string{
		toSource("same_key", "object", "other", "product", `"id":"id"`),
		toSource("feet", "array", "other", "customer", `"id":"shoe size","title":"email"`),
		toSource("items", "array", "default", "order_item", `"stock":"quantity"`),
		toSource("priced", "array", "other", "orders", `"id":"total"`),
	}, ","))
	table, _ := m.Table("default", catalog.Name{Schema: "public", Name: "product"})
	var got []string
	for _, r := range table.Remotes {
		got = append(got, fmt.Sprintf("%s %s → %s.%s %v %v", r.Name, r.AggregateName, r.Target.Source, r.Target.Name.Name, r.Mapping, r.Types))
	}
	want := `feet feet_aggregate → other.customer [{id shoe size} {title email}] [{pg_catalog int8 0} {pg_catalog varchar 0}]
items items_aggregate → default.order_item [{stock quantity}] [{pg_catalog int8 0}]
priced priced_aggregate → other.orders [{id total}] [{pg_catalog numeric 0}]
same_key  → other.product [{id id}] [{pg_catalog int8 0}]`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

func TestARelationshipToAnotherSourceSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for want, relationship := range map[string]string{
		`source "nowhere" does not exist`:                                                           toSource("r", "object", "nowhere", "product", `"id":"id"`),
		`source "lost" is inconsistent`:                                                             toSource("r", "object", "lost", "product", `"id":"id"`),
		`table "gone" does not exist in source: other`:                                              toSource("r", "object", "other", "gone", `"id":"id"`),
		`table "totals" is not tracked in source: other`:                                            toSource("r", "object", "other", "totals", `"id":"id"`),
		`field_mapping is empty`:                                                                    toSource("r", "object", "other", "product", ``),
		`column "nix" of field_mapping does not exist in table "product"`:                           toSource("r", "object", "other", "product", `"nix":"id"`),
		`column "nix" of field_mapping does not exist in table "customer" of source "other"`:        toSource("r", "object", "other", "customer", `"id":"nix"`),
		`"title" of table "product" is of type "text", which can't be compared with column "id"`:    toSource("r", "object", "other", "product", `"title":"id"`),
		`"price" of table "product" is of type "numeric", which can't be compared with column "id"`: toSource("r", "object", "other", "product", `"price":"id"`),
		`"raw" of table "product" is of type "json", which can't be compared with column "raw"`:     toSource("r", "object", "other", "product", `"raw":"raw"`),
		`"codes" of table "product" is of type "int4", which can't be compared with column "codes"`: toSource("r", "object", "other", "product", `"codes":"codes"`),
		`field definition conflicts with postgres column`:                                           toSource("title", "object", "other", "product", `"id":"id"`),
		`another remote relationship with the field "a_aggregate"`:                                  toSource("a", "array", "other", "product", `"id":"id"`) + "," + toSource("a_aggregate", "object", "other", "product", `"id":"id"`),
		`"no name" is not a valid GraphQL name`:                                                     toSource("no name", "object", "other", "product", `"id":"id"`),
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			m := twoSources(t, relationship)
			for _, i := range m.Inconsistencies {
				if i.Type == "remote_relationship" && strings.Contains(i.Reason, want) && strings.HasPrefix(i.Pointer, "$.sources[0].tables[0].remote_relationships[") {
					return
				}
			}
			t.Errorf("not reported: %+v", m.Inconsistencies)
		})
	}
}
