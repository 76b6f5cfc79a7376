package instance_test

import (
	"reflect"
	"testing"

	"tenantry/api/graphqlhttp"
	"tenantry/services/engine/instance"
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
