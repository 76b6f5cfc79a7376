package permissiontest

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"tenantry/api/session"
	"tenantry/services/engine/accessview"
	"tenantry/services/engine/introspect"
)

// createFunctions adds functions: read and write, of rows of tables.
const createFunctions = `
CREATE FUNCTION notes_of(person int) RETURNS SETOF notes STABLE LANGUAGE sql AS 'SELECT * FROM notes WHERE person_id = person';
CREATE FUNCTION oldest() RETURNS SETOF people STABLE LANGUAGE sql AS 'SELECT * FROM people ORDER BY age DESC';
CREATE FUNCTION touched() RETURNS SETOF notes VOLATILE LANGUAGE sql AS 'SELECT * FROM notes';
CREATE FUNCTION polled() RETURNS SETOF "tëams ""x""" VOLATILE LANGUAGE sql AS 'SELECT * FROM "tëams ""x"""';`

// calls are operations of functions and actions: the field, whose rows it is about,
// and its operation with %s for the selection.
var calls = []struct{ field, function, table, text string }{
	{"notes_of", "notes_of", "notes", "{ notes_of(args: {person: 1}) { %s } }"},
	{"notes_of_aggregate", "notes_of", "notes", "{ notes_of_aggregate(args: {person: 1}) { aggregate { count } %.0s} }"},
	{"oldest", "oldest", "people", "{ oldest { %s } }"},
	{"touched", "touched", "notes", "mutation { touched { %s } }"},
	{"polled", "polled", "teams", "{ polled { %s } }"},
	{"place", "", "", "mutation { place(n: 1) { %s } }"},
	{"look", "", "", "{ look(n: 1) { %s } }"},
	{"later", "", "", "mutation { later(n: 1) %.0s}"},
}

// fields adds to a random document functions, actions and REST endpoints of random
// roles, and what they are saved as.
func (d dice) fields(document object, handler string) {
	permissions := func() []any {
		out := []any{}
		for _, role := range some(d, append(slices.Clone(roles), inheritedRoles...), 35) {
			out = append(out, object{"role": role})
		}
		return out
	}
	source := document["sources"].([]any)[0].(object)
	var functions, queries, endpoints []any
	for name, configuration := range map[string]object{"notes_of": {}, "oldest": {}, "touched": {"exposed_as": "mutation"}, "polled": {"exposed_as": "query"}} {
		functions = append(functions, object{"function": object{"schema": "public", "name": name}, "configuration": configuration, "name": name})
	}
	slices.SortFunc(functions, func(a, b any) int { return strings.Compare(a.(object)["name"].(string), b.(object)["name"].(string)) })
	for _, f := range functions { // in an order of their own, so that the dice fall the same
		delete(f.(object), "name")
		f.(object)["permissions"] = permissions()
	}
	source["functions"] = functions
	var actions []any
	for name, of := range map[string]object{
		"place": {"kind": "synchronous", "type": "mutation"}, "look": {"type": "query"}, "later": {"kind": "asynchronous", "type": "mutation"},
	} {
		maps.Copy(of, object{"handler": handler, "output_type": "Placed", "arguments": []any{object{"name": "n", "type": "Int!"}}})
		actions = append(actions, object{"name": name, "definition": of})
	}
	slices.SortFunc(actions, func(a, b any) int { return strings.Compare(a.(object)["name"].(string), b.(object)["name"].(string)) })
	for _, a := range actions {
		a.(object)["permissions"] = permissions()
	}
	document["actions"] = actions
	document["custom_types"] = object{"objects": []any{object{"name": "Placed", "fields": []any{object{"name": "n", "type": "Int"}},
		"relationships": []any{object{"name": "note", "type": "object", "remote_table": object{"schema": "public", "name": "notes"}, "field_mapping": object{"n": "id"}}}}}}
	for i := range 12 {
		of := pick(d, calls)
		selection := "n"
		if of.table != "" {
			selection = pick(d, tableNamed(of.table).columns).name
		} else if d.chance(50) {
			selection = "note { " + pick(d, tableNamed("notes").columns).name + " }"
		}
		text := fmt.Sprintf(of.text, selection)
		if d.chance(40) {
			t := pick(d, tables)
			text = "{ " + t.name + " { " + pick(d, t.columns).name + " } }"
		}
		name := fmt.Sprintf("q%d", i)
		queries = append(queries, object{"name": name, "query": text})
		endpoints = append(endpoints, object{"name": name, "url": name, "methods": []any{"POST"},
			"definition": object{"query": object{"collection_name": "c", "query_name": name}}})
	}
	document["query_collections"] = []any{object{"name": "c", "definition": object{"queries": queries}}}
	document["rest_endpoints"] = endpoints
}

// What accessview tells of functions, actions and REST endpoints is what the engine
// does: which there are for a role, by its own list and by theirs.
func TestWhatAccessTellsOfFunctionsActionsAndEndpointsIsWhatTheEngineDoes(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.exec(createFunctions)
	var err error
	b.catalog, err = introspect.Read(t.Context(), b.db)
	must(t, err)
	handler := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"n": 1}`) }))
	t.Cleanup(handler.Close)
	seen := map[string]int{}
	for world := range accessWorlds {
		seed := setting(t, "TENANTRY_TEST_SEED", 1)
		d := dice{rand.New(rand.NewPCG(uint64(seed), uint64(9000+world)))}
		_, document, data := b.build(d, world)
		d.fields(document, handler.URL)
		engine := b.engine(document, world)
		for _, role := range append(slices.Clone(roles), inheritedRoles...) {
			c := &accessCheck{bench: b, engine: engine, project: accessview.Project{Instance: engine}, seen: seen, data: data}
			c.session = session.Session{Project: "p1", Role: role, Variables: d.session(role), Auth: session.AuthJWT, BackendOnly: true}
			c.role = c.project.Role(t.Context(), role, &c.session)
			for _, of := range calls {
				c.call(of.field, of.function, of.table, of.text)
			}
			c.endpoints()
			if t.Failed() {
				t.Fatalf("TENANTRY_TEST_SEED=%d, world %d, role %q, session %v", seed, world, role, c.session.Variables)
			}
		}
	}
	for _, kind := range []string{"reachable", "refused", "reachable function", "refused function", "reachable action", "refused action", "reachable endpoint", "refused endpoint"} {
		if seen[kind] == 0 {
			t.Errorf("nothing was a %s: the test asks too little (%v)", kind, seen)
		}
	}
}

// call asks about one function or action, with each column that it could answer.
func (c *accessCheck) call(field, function, table, text string) {
	c.t.Helper()
	told := c.has(field)
	if function == "" {
		c.listed("action", field, told, slices.Contains(c.role.Actions, field))
		action, _ := c.project.Action(field)
		c.listed("action", field, told, slices.ContainsFunc(action.Roles, func(g accessview.Grant) bool { return g.Role == c.session.Role }))
		selection := "n"
		c.answers(told, fmt.Sprintf(text, selection), field)
		return
	}
	if field == function {
		c.listed("function", field, told, slices.Contains(c.role.Functions, "default.public."+function))
	}
	for _, column := range tableNamed(table).columns {
		reads := false
		for _, t := range c.role.Tables {
			if t.Table == "default.public."+tableNamed(table).stored && t.Select != nil {
				reads = slices.ContainsFunc(t.Select.Columns, func(r accessview.ColumnReach) bool { return r.Column == column.stored })
			}
		}
		c.answers(told && (reads || strings.HasSuffix(field, "_aggregate")), fmt.Sprintf(text, column.name), field)
	}
}

func (c *accessCheck) listed(kind, name string, told, listed bool) {
	c.t.Helper()
	if told != listed {
		c.t.Errorf("the %s %s is among the root fields: %v, and among the %ss: %v", kind, name, told, kind, listed)
	}
	c.seen[map[bool]string{true: "reachable ", false: "refused "}[told]+kind]++
}

// answers is agrees, but for runs that nobody keeps here: to be refused for that is to
// be reached.
func (c *accessCheck) answers(told bool, text, field string) {
	c.t.Helper()
	if _, code := c.execute(text); field == "later" {
		if (code == "not-supported") != told {
			c.t.Errorf("told %v, but the engine answers %s to %s", told, code, text)
		}
		return
	}
	c.agrees(told, text)
}

// endpoints runs every saved operation as REST would.
func (c *accessCheck) endpoints() {
	c.t.Helper()
	for _, e := range c.engine.Endpoints.All() {
		found, _, err := c.engine.Endpoints.Match("POST", []string{e.Name})
		if err != nil || found.Name != e.Name {
			c.t.Fatalf("%s: %v", e.Name, err)
		}
		answer, code := c.execute(found.Query)
		told, reached := slices.Contains(c.role.Endpoints, e.Name), code != "validation-failed"
		if told != reached {
			c.t.Errorf("the endpoint is told to be there: %v, but the engine answers %v to %s", told, answer, found.Query)
		}
		c.seen[map[bool]string{true: "reachable endpoint", false: "refused endpoint"}[reached]]++
	}
}
