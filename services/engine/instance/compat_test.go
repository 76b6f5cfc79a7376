package instance_test

import (
	"reflect"
	"testing"

	"tenantry/api/graphqlhttp"
	"tenantry/services/engine/instance"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
)

// Switches of the project change how the same operation is taken.
func TestCompatSwitchesChangeTheEngine(t *testing.T) {
	t.Parallel()
	ordinary := newProject(t)
	switched := newProjectOf(t, ".", func(s *settings.Settings) {
		s.Compat = settings.Compat{StringifyNumericTypes: true, V1BooleanNullCollapse: true}
	})
	for _, c := range []struct{ query, ordinary, switched string }{
		{`{ articles(where: {id: {_eq: 10}}) { id price position } articles_aggregate(where: {id: {_lte: 11}}) { aggregate { count max { id } sum { position } } } }`,
			`{"data":{"articles":[{"id":10,"price":10.00,"position":2}],"articles_aggregate":{"aggregate" : {"count" : 2, "max" : {"id" : 11}, "sum" : {"position" : 3}}}}}`,
			`{"data":{"articles":[{"id":"10","price":"10.00","position":2}],"articles_aggregate":{"aggregate" : {"count" : 2, "max" : {"id" : "11"}, "sum" : {"position" : 3}}}}}`},
		{`{ accounts(where: {owner: {_eq: null}, id: {_lt: 2}}) { id } }`,
			`{"errors":[{"message":"unexpected null value for type 'String'","extensions":{"path":"$.selectionSet.accounts.args.where.owner._eq","code":"validation-failed"}}]}`,
			`{"data":{"accounts":[{"id":1}]}}`},
	} {
		for engine, want := range map[*project]string{ordinary: c.ordinary, switched: c.switched} {
			response, _ := engine.Execute(t.Context(), as("admin", nil), instance.Request{Request: graphqlhttp.Request{Query: c.query}})
			if got := withoutInternal(decode(t, string(response.Body))); !reflect.DeepEqual(got, decode(t, want)) {
				t.Errorf("%s\nanswered %s\nwant %s", c.query, response.Body, want)
			}
		}
	}
}

func TestNamingConventionsCanBeIgnored(t *testing.T) {
	t.Parallel()
	document, err := metadata.Decode([]byte(`{"version": 3, "sources": [{"name": "default", "kind": "postgres",
		"configuration": {"connection_info": {"database_url": {"from_env": "DATABASE"}}},
		"customization": {"naming_convention": "graphql-default", "type_names": {"prefix": "my_"}},
		"tables": [{"table": {"schema": "public", "name": "shop_visits"}}]}]}`))
	must(t, err)
	catalogs := map[string]*catalog.Catalog{"default": {Tables: []catalog.Table{{Name: catalog.Name{Schema: "public", Name: "shop_visits"},
		Columns: []catalog.Column{{Name: "visitor_count", Type: catalog.TypeRef{Schema: "pg_catalog", Name: "int4"}}}}}}}
	for _, c := range []struct {
		ignored    bool
		typ, field string
	}{
		{false, "my_ShopVisitsBoolExp", "visitorCount"},
		{true, "my_shop_visits_bool_exp", "visitor_count"},
	} {
		m, _, _ := instance.Resolve(document, catalogs, settings.Settings{Compat: settings.Compat{IgnoreNamingConventions: c.ignored}})
		if len(m.Tables) != 1 || m.Tables[0].TypeName("_bool_exp") != c.typ || m.Tables[0].Columns[0].Name != c.field {
			t.Errorf("ignored %v: expected %s with %s, got %+v", c.ignored, c.typ, c.field, m.Inconsistencies)
		}
	}
}
