package instance

import (
	"maps"
	"slices"
	"sync"
	"time"

	"tenantry/policy/access"
	"tenantry/policy/authz"
	"tenantry/policy/filter"
	"tenantry/services/engine/plan"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// Trial counts where a policy on trial would have decided otherwise. It outlives
// instances, and begins anew when one of the policies changes. Safe for concurrent
// use; the zero Trial is ready.
type Trial struct {
	mu     sync.Mutex
	of     string // the policies' hashes
	since  time.Time
	counts map[disagreement]*tally
	more   int64
}

// disagreement is what a policy on trial would have done otherwise.
type disagreement struct{ role, point, resource, trial string }

type tally struct {
	count       int64
	first, last time.Time
}

// What the policy on trial would have done.
const (
	trialAllows  = "allowed"
	trialDenies  = "denied"
	trialDiffers = "differs" // another filter, or something else shown of a column
)

// maxDisagreements bounds what is told apart; the rest is counted together.
const maxDisagreements = 1000

// Disagreements are the counts of a trial on this node.
type Disagreements struct {
	// OnTrial is false when no module is; the rest is empty then.
	OnTrial bool           `json:"on_trial" doc:"False when no module is on trial."`
	Since   *time.Time     `json:"since,omitempty" doc:"When this node began to count: since then neither policy has changed."`
	Items   []Disagreement `json:"items" nullable:"false" doc:"Most frequent first."`
	More    int64          `json:"more,omitempty" doc:"Disagreements beyond those that are told apart."`
}

// Disagreement is one kind of them.
type Disagreement struct {
	Role     string    `json:"role"`
	Point    string    `json:"point" enum:"operation,root_field,action,column,row_filter,insert_check,update_check"`
	Resource string    `json:"resource,omitempty" doc:"The table, column, action or function; an operation by its name."`
	Trial    string    `json:"trial" enum:"allowed,denied,differs" doc:"What the modules on trial would have done: allowed or denied, where the others did the contrary; differs for another filter, or something else shown of a column."`
	Count    int64     `json:"count"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

func (t *Trial) add(of string, d disagreement) {
	now := time.Now().UTC()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begin(of, now)
	found := t.counts[d]
	if found == nil {
		if len(t.counts) >= maxDisagreements {
			t.more++
			return
		}
		found = &tally{first: now}
		t.counts[d] = found
	}
	found.count++
	found.last = now
}

// begin forgets the counts of other policies.
func (t *Trial) begin(of string, now time.Time) {
	if t.of != of {
		t.of, t.since, t.counts, t.more = of, now, map[disagreement]*tally{}, 0
	}
}

// Disagreements tells where the policy on trial would have decided otherwise since
// both are as they are now.
func (i *Instance) Disagreements() Disagreements {
	out := Disagreements{OnTrial: i.shadow != nil, Items: []Disagreement{}}
	if i.shadow == nil {
		return out
	}
	t := i.outside.Trial
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begin(i.trialOf(), time.Now().UTC())
	since := t.since
	out.Since, out.More = &since, t.more
	for d, n := range t.counts {
		out.Items = append(out.Items, Disagreement{Role: d.role, Point: d.point, Resource: d.resource, Trial: d.trial, Count: n.count, First: n.first, Last: n.last})
	}
	slices.SortFunc(out.Items, func(a, b Disagreement) int {
		if a.Count != b.Count {
			return int(b.Count - a.Count)
		}
		return a.First.Compare(b.First)
	})
	return out
}

func (i *Instance) trialOf() string { return i.policy.Hash() + " " + i.shadow.Hash() }

// disagrees counts a disagreement.
func (i *Instance) disagrees(d disagreement) {
	i.outside.Metrics.RecordShadowDisagreement(d.point, d.trial)
	i.outside.Trial.add(i.trialOf(), d)
}

// differences are what of a plan the policy on trial would filter, check or show
// otherwise. They are found when it is planned, by comparing what both policies
// leave of the role's permissions; each request that runs the plan counts them.
func (i *Instance) differences(role *access.Role, operation string, p *plan.Plan) []disagreement {
	if i.shadow == nil || role.Admin {
		return nil
	}
	c := comparison{i: i, role: role.Name, now: i.narrowed(role, operation), then: i.onTrial(role, operation), found: map[disagreement]bool{}}
	for _, f := range p.Fields {
		c.field(f)
	}
	return slices.SortedFunc(maps.Keys(c.found), func(a, b disagreement) int {
		if a.point != b.point {
			return slices.Index(points, a.point) - slices.Index(points, b.point)
		}
		return len(a.resource) - len(b.resource)
	})
}

var points = []string{string(authz.PointRowFilter), string(authz.PointInsertCheck), string(authz.PointUpdateCheck), string(authz.PointColumn)}

// onTrial is a role as the policy on trial leaves it.
func (i *Instance) onTrial(r *access.Role, operation string) *access.Role {
	return i.narrowedBy(i.shadow, i.trialRoles, r, operation)
}

// comparison of a role under two policies, for one plan.
type comparison struct {
	i         *Instance
	role      string
	now, then *access.Role
	found     map[disagreement]bool
}

func (c comparison) note(point authz.Point, resource, trial string) {
	c.found[disagreement{c.role, string(point), resource, trial}] = true
}

func (c comparison) field(f plan.Field) {
	for _, r := range append([]plan.Resource{f.Resource}, f.Nested...) {
		if t, ok := c.i.Model.Table(r.Source, catalog.Name{Schema: r.Schema, Name: r.Name}); ok && r.Kind == "table" {
			c.written(t, writesOf(f))
		}
	}
	for _, s := range []*plan.Select{f.Select, f.Call} {
		if s != nil {
			c.selection(s)
		}
	}
	var returned []plan.Returning
	if f.Insert != nil {
		returned = append(returned, f.Insert.Returning)
	}
	for _, u := range append([]*plan.Update{f.Update}, f.Updates...) {
		if u != nil {
			returned = append(returned, u.Returning)
		}
	}
	if f.Delete != nil {
		returned = append(returned, f.Delete.Returning)
	}
	for _, r := range returned {
		for _, m := range r.Members {
			c.output(f.Resource.Source, catalog.Name{Schema: f.Resource.Schema, Name: f.Resource.Name}, m.Rows)
		}
	}
	if f.Action != nil {
		c.parts(f.Action.Selection)
	}
	if f.Entities != nil {
		for _, e := range f.Entities.Types {
			c.selection(e.Join.Select)
		}
	}
}

func (c comparison) parts(all []plan.Part) {
	for _, part := range all {
		if part.Join != nil {
			c.selection(part.Join.Select)
		}
		c.parts(part.Parts)
	}
}

// selection compares the rows and the columns that are read.
func (c comparison) selection(s *plan.Select) {
	if t, ok := c.i.Model.Table(s.Source, s.Table); ok {
		now, then := c.now.Table(t).Select, c.then.Table(t).Select
		if now != nil && then != nil {
			c.filters(authz.PointRowFilter, t, now.Filter, then.Filter)
		}
	}
	if s.Shape == plan.Aggregated {
		for _, name := range s.Aggregate.Columns() {
			c.column(s.Source, s.Table, name)
		}
		for _, m := range s.Aggregate.Members {
			if m.Nodes != nil {
				c.selection(m.Nodes)
			}
		}
	}
	for _, output := range append(s.Connection.Nodes(), s.Output) {
		c.output(s.Source, s.Table, output)
	}
}

func (c comparison) output(source string, table catalog.Name, output []plan.Output) {
	for _, o := range output {
		switch {
		case o.Column != nil:
			c.column(source, table, o.Column.Name)
		case o.Nested != nil:
			c.selection(o.Nested)
		case o.Join != nil:
			c.selection(o.Join.Select)
		}
	}
}

// filters compares two conditions on rows by their text.
func (c comparison) filters(point authz.Point, t *model.Table, now, then filter.Expr) {
	if c.i.policy.Describe(now) == c.i.shadow.Describe(then) {
		return
	}
	trial := trialDiffers
	if filter.IsFalse(then) {
		trial = trialDenies
	}
	if filter.IsTrue(then) {
		trial = trialAllows
	}
	c.note(point, tableName(t), trial)
}

// column compares what is seen of a column.
func (c comparison) column(source string, table catalog.Name, name string) {
	t, ok := c.i.Model.Table(source, table)
	if !ok {
		return
	}
	column, ok := t.Stored(name)
	now, then := c.now.Table(t).Select, c.then.Table(t).Select
	if !ok || now == nil {
		return
	}
	seen := func(p *authz.Policy, s *access.Select) string {
		return p.Describe(filter.IsNull{Of: filter.Column{Name: name, Type: column.Type, Cases: s.Cases(column)}})
	}
	switch {
	case then == nil || !then.Columns.Has(column):
		c.note(authz.PointColumn, tableName(t)+"."+name, trialDenies)
	case seen(c.i.policy, now) != seen(c.i.shadow, then):
		trial := trialDiffers
		if len(then.Cases(column)) == 0 {
			trial = trialAllows
		}
		c.note(authz.PointColumn, tableName(t)+"."+name, trial)
	}
}

// written compares the conditions on rows that are written.
func (c comparison) written(t *model.Table, kinds []string) {
	now, then := c.now.Table(t), c.then.Table(t)
	for _, kind := range kinds {
		switch {
		case kind == "insert" && now.Insert != nil && then.Insert != nil:
			c.filters(authz.PointInsertCheck, t, now.Insert.Check, then.Insert.Check)
		case kind == "update" && now.Update != nil && then.Update != nil:
			c.filters(authz.PointRowFilter, t, now.Update.Filter, then.Update.Filter)
			c.filters(authz.PointUpdateCheck, t, now.Update.Check, then.Update.Check)
		case kind == "delete" && now.Delete != nil && then.Delete != nil:
			c.filters(authz.PointRowFilter, t, now.Delete.Filter, then.Delete.Filter)
		}
	}
}

func tableName(t *model.Table) string { return t.Source + "." + t.Name.Schema + "." + t.Name.Name }
