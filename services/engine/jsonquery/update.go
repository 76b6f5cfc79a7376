package jsonquery

import (
	"maps"
	"slices"

	"tenantry/api/errcode"
	"tenantry/policy/access"
	"tenantry/policy/filter"
	"tenantry/services/engine/plan"
	"tenantry/tenants/model"
)

// needsWhere is why a role that changes rows must be able to read them: else it
// could ask about rows that it may not see.
const needsWhere = ` is only allowed if the role has "select" permission as "where" can't be used without "select" permission on the table`

// update plans update.
func (p *planning) update() error {
	t := p.table
	p.field.Name = t.Root.Update.Name
	if _, ok := p.command.args.given("where"); !ok {
		return missing("where")
	}
	allowed := p.Role.Table(t).Update
	if err := p.writable(t.Updatable, allowed != nil, allowed != nil && allowed.BackendOnly); err != nil {
		return err
	}
	if _, err := p.readable(`; "update"` + needsWhere); err != nil {
		return err
	}
	u := &plan.Update{Source: t.Source, Table: t.Name, Check: allowed.Check, Most: allowed.MaxAffectedRows}
	p.field.Update = u
	set, err := p.assignments(allowed)
	if err != nil {
		return err
	}
	u.Set = append(set, plan.Presets(allowed.Presets)...)
	if err := p.returning(&u.Returning, ""); err != nil {
		return err
	}
	if len(set) == 0 {
		return errcode.New(errcode.UnexpectedPayload, "at least one of $set, $inc, $mul, $default has to be present").At("$.args")
	}
	if allowed.Validation != nil {
		p.field.Validations = []plan.Validation{{Definition: allowed.Validation}}
	}
	u.Where, err = p.chosen(allowed.Filter)
	return err
}

// delete plans delete.
func (p *planning) delete() error {
	t := p.table
	p.field.Name = t.Root.Delete.Name
	if _, ok := p.command.args.given("where"); !ok {
		return missing("where")
	}
	allowed := p.Role.Table(t).Delete
	if err := p.writable(t.Deletable, allowed != nil, allowed != nil && allowed.BackendOnly); err != nil {
		return err
	}
	if _, err := p.readable(`; "delete"` + needsWhere); err != nil {
		return err
	}
	d := &plan.Delete{Source: t.Source, Table: t.Name, Most: allowed.MaxAffectedRows}
	p.field.Delete = d
	if err := p.returning(&d.Returning, ""); err != nil {
		return err
	}
	if allowed.Validation != nil {
		p.field.Validations = []plan.Validation{{Definition: allowed.Validation}}
	}
	var err error
	d.Where, err = p.chosen(allowed.Filter)
	return err
}

// chosen are the rows that the client means among those that the role may change.
func (p *planning) chosen(own filter.Expr) (filter.Expr, error) {
	where, err := p.where(p.table, p.command.args["where"], place{form: "$", at: "$.args"})
	return filter.Both(own, where), err
}

// operators of an update in the order in which they are written.
var operators = []struct {
	keys []string
	op   plan.AssignmentOp
}{{[]string{"$set", "values"}, plan.Set}, {[]string{"$inc"}, plan.Inc}, {[]string{"$mul"}, plan.Mul}}

// assignments are what the client changes.
func (p *planning) assignments(allowed *access.Update) ([]plan.Assignment, error) {
	var out []plan.Assignment
	for _, operator := range operators {
		for _, key := range operator.keys {
			value, ok := p.command.args.given(key)
			if !ok {
				continue
			}
			changes, ok := value.(map[string]any)
			if !ok {
				return nil, wrongForm(access.JSONPath("$", key), "an object")
			}
			path := access.JSONPath("$.args", key)
			for _, name := range slices.Sorted(maps.Keys(changes)) {
				a, err := p.assignment(name, operator.op, out, allowed, path)
				if err == nil {
					a.Value, err = param(a.column, changes[name], access.JSONPath(path, name))
				}
				if err != nil {
					return nil, err
				}
				out = append(out, a.Assignment)
			}
			break // values is another name of $set
		}
	}
	names, _, err := p.command.args.strings("$default", "$", false)
	for _, name := range names {
		a, err := p.assignment(name, plan.Default, out, allowed, access.JSONPath("$.args", "$default"))
		if err != nil {
			return nil, err
		}
		out = append(out, a.Assignment)
	}
	return out, err
}

type assigned struct {
	plan.Assignment
	column *model.Column
}

// assignment begins the assignment to a column, unless it may not be.
func (p *planning) assignment(name string, op plan.AssignmentOp, before []plan.Assignment, allowed *access.Update, path string) (assigned, error) {
	c, ok := p.table.Stored(name)
	switch {
	case ok && p.mayWrite(c, allowed.Columns):
	case isPreset(allowed.Presets, name):
		return assigned{}, errcode.New(errcode.NotSupported, "column %q is not updatable for role %q; its value is predefined in permission", name, p.Role.Name).At(path)
	case !p.Role.Admin:
		return assigned{}, errcode.New(errcode.PermissionDenied, "role %q does not have permission to update column %q", p.Role.Name, name).At(path)
	case ok:
		return assigned{}, errcode.New(errcode.NotSupported, "column %q can't be written", name).At(path)
	default:
		return assigned{}, errcode.New(errcode.PermissionDenied, "no such column exists : %q", name).At(path)
	}
	if slices.ContainsFunc(before, func(a plan.Assignment) bool { return a.Column.Name == name }) {
		return assigned{}, errcode.New(errcode.UnexpectedPayload, "column %q is changed by several operators", name).At(path)
	}
	return assigned{plan.Assignment{Column: plan.Column{Name: name, Type: c.Type}, Op: op}, c}, nil
}

// returning plans what a mutation answers: how many rows, and the columns that are
// asked for.
func (p *planning) returning(out *plan.Returning, why string) error {
	out.Members = []plan.Member{{Key: "affected_rows", AffectedRows: true}}
	p.depth, p.nodes = 1, 1
	names, given, err := p.command.args.strings("returning", "$", false)
	if err != nil || !given {
		return err
	}
	if _, err := p.readable(why); err != nil {
		return err
	}
	var rows []plan.Output
	seen := map[string]bool{}
	for _, name := range names {
		if name == "*" {
			all, err := p.everything(p.table, 1, place{form: "$", at: "$.args.returning"}, 1)
			if err != nil {
				return err
			}
			for _, o := range all {
				if !seen[o.Key] {
					seen[o.Key] = true
					rows = append(rows, o)
				}
			}
			continue
		}
		c, ok := p.table.Stored(name)
		if !ok || !p.Role.Reads(p.table, c) {
			return p.unreadable(name, "$.args.returning")
		}
		if !seen[name] {
			seen[name] = true
			rows = append(rows, p.column(p.table, c))
		}
	}
	p.depth, p.nodes = 2, 2
	out.Members = append(out.Members, plan.Member{Key: "returning", Rows: rows})
	return nil
}
