package impact

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"tenantry/policy/access"
	"tenantry/policy/filter"
	"tenantry/tenants/model"
)

// AccessChange is one thing that a role may do more, less or otherwise.
type AccessChange struct {
	Role string `json:"role"`
	// Object is a table as source.schema.table, an action or a function.
	Object     string `json:"object"`
	Permission string `json:"permission" enum:"select,insert,update,delete,action,function"`
	Change     string `json:"change" enum:"gained,lost,changed"`
	// Effect is unclear when a rule is another and neither of the two implies the
	// other by its form, and when one thing is wider and another narrower.
	Effect string `json:"effect" enum:"widened,narrowed,unclear" doc:"Whether the role may do more or less than before; unclear when the rules are others."`
	// Columns of a table, by database name.
	Gained []string `json:"columns_gained,omitempty"`
	Lost   []string `json:"columns_lost,omitempty"`
	// Rule is true when something else of the permission is another: its filter,
	// check, presets or limits.
	Rule  bool         `json:"rule_changed,omitempty"`
	Rules []RuleChange `json:"rules,omitempty" doc:"What else of the permission is another."`
}

// Widens reports whether the role may do more, or it is unclear that it may not.
func (a AccessChange) Widens() bool { return a.Effect != narrowed }

// RuleChange is a part of a permission before and after; empty is none.
type RuleChange struct {
	Part string `json:"part" doc:"filter, check, limit, allow_aggregations, root_fields, presets, masks, backend_only, validate_input, max_affected_rows"`
	From string `json:"from"`
	To   string `json:"to"`
}

// The changes.
const (
	gained  = "gained"
	lost    = "lost"
	changed = "changed"
)

// The effects.
const (
	widened  = "widened"
	narrowed = "narrowed"
	unclear  = "unclear"
)

// CompareAccess tells who may do more, less or otherwise after than before, sorted
// by role, object and permission.
func CompareAccess(before, after Side) []AccessChange {
	out := []AccessChange{}
	c := comparison{before: before, after: after}
	for _, role := range roles(before, after) {
		if role != admin { // who may do everything anyway
			out = append(out, c.accessOf(role)...)
		}
	}
	return out
}

// grant is a permission in a form that can be compared.
type grant struct {
	columns map[string]bool
	parts   []part
}

// part is one thing that a permission says beside its columns.
type part struct {
	name  string
	value any
	text  string
	// effect tells what the step from one value to another comes to.
	effect func(from, to any) string
}

type grantKey struct{ object, permission string }

// accessOf compares what a role may do.
func (c *comparison) accessOf(role string) []AccessChange {
	before, after := grants(c.before, role), grants(c.after, role)
	keys := maps.Clone(before)
	maps.Copy(keys, after)
	var out []AccessChange
	for _, key := range slices.SortedFunc(maps.Keys(keys), func(a, b grantKey) int {
		return cmp.Or(cmp.Compare(a.object, b.object), cmp.Compare(a.permission, b.permission))
	}) {
		was, had := before[key]
		is, has := after[key]
		change := AccessChange{Role: role, Object: key.object, Permission: key.permission, Change: changed,
			Gained: minus(is.columns, was.columns), Lost: minus(was.columns, is.columns)}
		switch {
		case !had:
			change.Change, change.Effect = gained, widened
		case !has:
			change.Change, change.Effect = lost, narrowed
		default:
			change.compare(was, is)
			if change.Effect == "" {
				continue
			}
		}
		out = append(out, change)
	}
	return out
}

// compare notes what is another in a permission, and what it comes to; without a
// difference there is no effect.
func (a *AccessChange) compare(was, is grant) {
	var effects []string
	if len(a.Gained) > 0 {
		effects = append(effects, widened)
	}
	if len(a.Lost) > 0 {
		effects = append(effects, narrowed)
	}
	for i, from := range was.parts {
		to := is.parts[i]
		if reflect.DeepEqual(from.value, to.value) {
			continue
		}
		a.Rules = append(a.Rules, RuleChange{from.name, from.text, to.text})
		effects = append(effects, from.effect(from.value, to.value))
	}
	a.Rule = len(a.Rules) > 0
	slices.Sort(effects)
	if effects = slices.Compact(effects); len(effects) == 1 {
		a.Effect = effects[0]
	} else if len(effects) > 1 {
		a.Effect = unclear
	}
}

func minus(a, b map[string]bool) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if a[name] && !b[name] {
			out = append(out, strings.TrimPrefix(name, "\x00"))
		}
	}
	return out
}

// grants are all permissions of a role that resolved.
func grants(s Side, name string) map[grantKey]grant {
	out := map[grantKey]grant{}
	role, known := s.Access.Role(name)
	if !known {
		return out
	}
	for _, t := range s.Model.RowTypes() {
		tableGrants(out, t, role.Table(t))
	}
	for _, a := range s.Model.Actions {
		if role.Action(a) {
			out[grantKey{"action " + a.Name, "action"}] = grant{}
		}
	}
	for _, f := range s.Model.Functions {
		if role.Function(f) {
			out[grantKey{"function " + f.Source + "." + f.Name.String(), "function"}] = grant{}
		}
	}
	return out
}

func tableGrants(out map[grantKey]grant, t *model.Table, p *access.Table) {
	object := t.Source + "." + t.Name.String()
	if s := p.Select; s != nil {
		out[grantKey{object, "select"}] = grant{s.Columns, []part{
			rows("filter", s.Filter), most("limit", s.Limit), flag("allow_aggregations", s.Aggregations, widened),
			roots("query_root_fields", s.Roots), roots("subscription_root_fields", s.SubscriptionRoots), masks(t, s),
		}}
	}
	if i := p.Insert; i != nil {
		out[grantKey{object, "insert"}] = grant{i.Columns, append(guards(i.Guard, i.BackendOnly), rows("check", i.Check), presets(i.Presets))}
	}
	if u := p.Update; u != nil {
		out[grantKey{object, "update"}] = grant{u.Columns, append(guards(u.Guard, u.BackendOnly), rows("filter", u.Filter), rows("check", u.Check), presets(u.Presets))}
	}
	if d := p.Delete; d != nil {
		out[grantKey{object, "delete"}] = grant{nil, append(guards(d.Guard, d.BackendOnly), rows("filter", d.Filter))}
	}
}

// rows is a condition on rows. That the one implies the other is seen when one of
// them is constant, or is the other with more conditions or more alternatives.
func rows(name string, e filter.Expr) part {
	return part{name, e, filter.String(e), func(from, to any) string {
		a, b := from.(filter.Expr), to.(filter.Expr)
		switch {
		case implies(a, b):
			return widened
		case implies(b, a):
			return narrowed
		}
		return unclear
	}}
}

// implies reports whether, by their form, every row that passes a passes b.
func implies(a, b filter.Expr) bool {
	if filter.IsTrue(b) || filter.IsFalse(a) || reflect.DeepEqual(a, b) {
		return true
	}
	if any, ok := a.(filter.Or); ok {
		return !slices.ContainsFunc(any, func(one filter.Expr) bool { return !implies(one, b) })
	}
	if all, ok := b.(filter.And); ok {
		return !slices.ContainsFunc(all, func(one filter.Expr) bool { return !implies(a, one) })
	}
	if all, ok := a.(filter.And); ok && slices.ContainsFunc(all, func(one filter.Expr) bool { return implies(one, b) }) {
		return true
	}
	any, ok := b.(filter.Or)
	return ok && slices.ContainsFunc(any, func(one filter.Expr) bool { return implies(a, one) })
}

// most is a limit; 0 is none.
func most(name string, n int) part {
	text := ""
	if n > 0 {
		text = strconv.Itoa(n)
	}
	return part{name, n, text, func(from, to any) string {
		if a, b := from.(int), to.(int); b == 0 || a != 0 && b > a {
			return widened
		}
		return narrowed
	}}
}

// flag is a switch whose being on has an effect.
func flag(name string, on bool, effect string) part {
	other := map[string]string{widened: narrowed, narrowed: widened}[effect]
	return part{name, on, strconv.FormatBool(on), func(_, to any) string {
		if to.(bool) {
			return effect
		}
		return other
	}}
}

func roots(name string, f access.RootFields) part {
	var list []string
	for _, one := range []struct {
		has  bool
		name string
	}{{f.Select, "select"}, {f.SelectByPK, "select_by_pk"}, {f.SelectAggregate, "select_aggregate"}, {f.SelectStream, "select_stream"}} {
		if one.has {
			list = append(list, one.name)
		}
	}
	return part{name, f, strings.Join(list, ", "), func(from, to any) string {
		a, b := from.(access.RootFields), to.(access.RootFields)
		more := b.Select && !a.Select || b.SelectByPK && !a.SelectByPK || b.SelectAggregate && !a.SelectAggregate || b.SelectStream && !a.SelectStream
		less := a.Select && !b.Select || a.SelectByPK && !b.SelectByPK || a.SelectAggregate && !b.SelectAggregate || a.SelectStream && !b.SelectStream
		switch {
		case more && !less:
			return widened
		case less && !more:
			return narrowed
		}
		return unclear
	}}
}

// masks are what is seen of columns that are not shown as they are.
func masks(t *model.Table, s *access.Select) part {
	seen := map[string][]filter.Case{}
	var list []string
	for _, c := range t.Columns {
		if cases := s.Cases(c); len(cases) > 0 && s.Columns.Has(c) {
			seen[c.StoredName()] = cases
			list = append(list, strings.TrimSuffix(filter.String(filter.IsNull{Of: filter.Column{Name: c.StoredName(), Cases: cases}}), " IS NULL"))
		}
	}
	return part{"masks", seen, strings.Join(list, ", "), func(from, to any) string {
		switch a, b := from.(map[string][]filter.Case), to.(map[string][]filter.Case); {
		case len(b) == 0:
			return widened
		case len(a) == 0:
			return narrowed
		}
		return unclear
	}}
}

func presets(list []access.Preset) part {
	values := map[string]filter.Param{}
	var texts []string
	for _, p := range list {
		values[p.Column.StoredName()] = p.Value
		texts = append(texts, p.Column.StoredName()+" = "+filter.String(filter.Guard{Param: p.Value}))
	}
	return part{"presets", values, strings.Join(texts, ", "), func(any, any) string { return unclear }}
}

// guards are what else stands before a mutation.
func guards(g access.Guard, backendOnly bool) []part {
	hook := ""
	if g.Validation != nil {
		hook = g.Validation.URL
	}
	return []part{
		flag("backend_only", backendOnly, narrowed), most("max_affected_rows", g.MaxAffectedRows),
		{"validate_input", g.Validation, hook, func(_, _ any) string { return unclear }},
	}
}
