package permissiontest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/services/engine/accessview"
	"tenantry/services/engine/instance"
)

// accessWorlds is how many random documents are asked about.
const accessWorlds = 6

// What accessview tells of a role is what the engine does for it: each column,
// each root field, which rows there are at most, and what a session lacks.
func TestWhatAccessTellsIsWhatTheEngineDoes(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	seen := map[string]int{}
	for world := range accessWorlds {
		seed := setting(t, "TENANTRY_TEST_SEED", 1)
		d := dice{rand.New(rand.NewPCG(uint64(seed), uint64(7000+world)))}
		engine, _, data := b.build(d, world)
		for _, role := range append(slices.Clone(roles), inheritedRoles...) {
			c := &accessCheck{bench: b, engine: engine, project: accessview.Project{Instance: engine}, seen: seen, data: data}
			c.session = session.Session{Project: "p1", Role: role, Variables: d.session(role), Auth: session.AuthJWT, BackendOnly: true}
			c.role = c.project.Role(t.Context(), role, &c.session)
			for _, of := range tables {
				c.table(of)
			}
			if t.Failed() {
				t.Fatalf("TENANTRY_TEST_SEED=%d, world %d, role %q, session %v", seed, world, role, c.session.Variables)
			}
		}
	}
	for _, kind := range []string{"reachable", "refused", "lacking", "all rows", "filtered rows"} {
		if seen[kind] == 0 {
			t.Errorf("nothing was %s: the test asks too little (%v)", kind, seen)
		}
	}
}

// accessCheck asks the engine what was told of a role.
type accessCheck struct {
	*bench
	engine  *instance.Instance
	project accessview.Project
	session session.Session
	role    accessview.Reach
	data    database
	seen    map[string]int
}

func (c *accessCheck) table(of *table) {
	c.t.Helper()
	var told accessview.TableReach
	for _, one := range c.role.Tables {
		if one.Table == "default.public."+of.stored {
			told = one
		}
	}
	var reads []string
	if told.Select != nil {
		for _, column := range told.Select.Columns {
			reads = append(reads, column.Column)
		}
	}
	inserts, updates := writes(told.Insert), writes(told.Update)
	for _, column := range of.columns {
		c.agrees(slices.Contains(reads, column.stored), "{ "+of.name+" { "+column.name+" } }")
		c.agrees(slices.Contains(inserts, column.stored),
			"mutation { __typename insert_"+of.name+"(objects: [{"+column.name+": null}]) @skip(if: true) { affected_rows } }")
		c.agrees(slices.Contains(updates, column.stored),
			"mutation { __typename update_"+of.name+"(where: {_not: {}}, _set: {"+column.name+": null}) @skip(if: true) { affected_rows } }")
	}
	c.agrees(c.has(of.name+"_by_pk"), "{ "+of.name+"_by_pk(id: 0) { id } }")
	c.agrees(c.has(of.name+"_aggregate"), "{ "+of.name+"_aggregate { aggregate { count } } }")
	c.agrees(c.has("insert_"+of.name), "mutation { insert_"+of.name+"(objects: []) { affected_rows } }")
	c.agrees(c.has("delete_"+of.name), "mutation { delete_"+of.name+"(where: {_not: {}}) { affected_rows } }")
	for _, r := range of.relations {
		has := told.Select != nil && slices.Contains(told.Select.Relationships, r.name)
		c.agrees(has, "{ "+of.name+" { "+r.name+" { __typename } } }")
	}
	if told.Select != nil {
		c.rows(of, told.Select)
	}
}

func writes(w *accessview.WriteReach) []string {
	if w == nil {
		return nil
	}
	return w.Columns
}

func (c *accessCheck) has(field string) bool {
	is := func(f accessview.RootField) bool { return f.Name == field }
	return slices.ContainsFunc(c.role.Queries, is) || slices.ContainsFunc(c.role.Mutations, is)
}

func (c *accessCheck) execute(text string) (any, string) {
	c.t.Helper()
	response, _ := c.engine.Execute(c.t.Context(), c.session, instance.Request{Request: graphqlhttp.Request{Query: text}})
	if response.Err != nil {
		return string(response.Body), string(response.Err.Code)
	}
	return parse(c.t, response.Body).(object)["data"], ""
}

// agrees compares what was told with what the engine and the explanation say. A
// session that lacks a variable reaches the field; its rule can't be decided.
func (c *accessCheck) agrees(told bool, text string) {
	c.t.Helper()
	answer, code := c.execute(text)
	explained := c.project.Explain(c.t.Context(), c.session, graphqlhttp.Request{Query: text})
	reached := code == "" || code == "not-found"
	switch {
	case code != "" && !reached && code != "validation-failed":
		c.t.Errorf("the engine answers %v to %s", answer, text)
	case told != reached:
		c.t.Errorf("told %v, but the engine answers %v to %s", told, answer, text)
	case explained.Allowed != (code == ""):
		c.t.Errorf("explained as allowed: %v (%s), but the engine answers %v to %s", explained.Allowed, explained.Message, answer, text)
	case !reached && (explained.Stage != "operation" || len(explained.Refusals) == 0 || explained.Refusals[0].Rule == "operation"):
		c.t.Errorf("the refusal of %s is not explained by a rule: %+v", text, explained)
	}
	c.seen[map[bool]string{true: "reachable", false: "refused"}[reached]]++
}

// rows compares the filter with the rows that come, as the raw metadata says.
func (c *accessCheck) rows(of *table, told *accessview.SelectReach) {
	c.t.Helper()
	answer, code := c.execute("{ rows: " + of.name + "(limit: 1000) { id } }")
	if (code == "not-found") != (len(told.Missing) > 0) {
		c.t.Errorf("told that the session lacks %v for %s, but the engine answers %v", told.Missing, of.name, answer)
		return
	}
	if code != "" {
		c.seen["lacking"]++
		return
	}
	got := len(answer.(object)["rows"].([]any))
	most := len(c.data[of.stored])
	if told.Limit > 0 {
		most = min(most, told.Limit)
	}
	kind, right := "filtered rows", got <= most
	switch told.Filter {
	case "true":
		kind, right = "all rows", got == most
	case "false":
		kind, right = "no rows", got == 0
	}
	c.seen[kind]++
	if !right {
		c.t.Errorf("told the filter %s and the limit %d, but %d rows of %s come", told.Filter, told.Limit, got, fmt.Sprint(len(c.data[of.stored]), " in ", of.name))
	}
}
