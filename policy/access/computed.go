package access

import (
	"slices"

	"tenantry/policy/filter"
	"tenantry/tenants/model"
)

// Function reports whether the role may call a tracked function: one that may
// read the rows that it returns, and is let call it.
func (r *Role) Function(f *model.Function) bool {
	if r.Admin {
		return true
	}
	return r.Table(f.Target).Select != nil && slices.ContainsFunc(f.Roles, r.Includes)
}

// withMembers adds the fields of a logical model that hold other ones.
func withMembers(t *model.Table, set ColumnSet) ColumnSet {
	if t.Logical != nil {
		for _, m := range t.Logical.Members {
			set[m.Name] = true
		}
	}
	return set
}

func hasMember(t *model.Table, name string) bool {
	if t.Logical == nil {
		return false
	}
	_, ok := t.Logical.Member(name)
	return ok
}

// withComputed are all columns and scalar computed fields of a table.
func withComputed(t *model.Table) ColumnSet {
	set := withMembers(t, columnSet(t.Columns))
	for _, f := range t.ComputedFields {
		if f.Value != nil {
			set[f.Value.StoredName()] = true
		}
	}
	return set
}

// computedFields grants the scalar computed fields that a permission lists. Those
// that return rows need no grant: the permission on these rows counts.
func (c *compiler) computedFields(s *Select, names []string) {
	for _, name := range names {
		f, ok := c.table.Computed(name)
		switch {
		case !ok:
			c.fail("", "computed field %q does not exist", name)
		case f.Value == nil:
			c.fail("", "select permissions on computed field %q are auto-derived from the permissions on its returning table %q and cannot be specified manually",
				name, model.ShortName(f.Target.Name))
		default:
			s.Columns[f.Value.StoredName()] = true
		}
	}
}

// computed compiles what is said of a computed field: a scalar is compared like a
// column, of rows one has to fulfil the condition.
func (s scope) computed(f *model.ComputedField, value any, path string) filter.Expr {
	if !f.Plain() {
		s.fail(path, "the computed field %q takes arguments, so it can't be part of a rule", f.Field)
		return filter.False
	}
	call := CallOf(&f.Callable)
	if f.Value == nil {
		return filter.Exists{Table: f.Target.Name, From: call,
			Where: s.rows(f.Target, value, f.Field, path)}
	}
	before := len(s.problems)
	e := s.column(f.Value, value, path)
	s.renamed(before, f)
	return computing(e, f.Value.StoredName(), call)
}

// CallOf is the call of a function with what needs no client.
func CallOf(c *model.Callable) *filter.Function {
	call := &filter.Function{Name: c.Name}
	for i, a := range c.Arguments {
		argument := filter.Argument{At: i, Name: a.StoredName(), Row: a.From == model.RowArgument}
		if a.From == model.SessionArgument {
			argument.Value = filter.Param{From: filter.SessionObject, Type: a.Type}
		}
		if a.From != model.Given {
			call.Arguments = append(call.Arguments, argument)
		}
	}
	return call
}

// computing notes in an expression about a computed field how its value is made.
func computing(e filter.Expr, name string, call *filter.Function) filter.Expr {
	operand := func(o filter.Operand) filter.Operand {
		if c, ok := o.(filter.Column); ok && c.Name == name {
			c.Of = call
			return c
		}
		return o
	}
	list := func(items []filter.Expr) []filter.Expr {
		out := make([]filter.Expr, len(items))
		for i, item := range items {
			out[i] = computing(item, name, call)
		}
		return out
	}
	switch e := e.(type) {
	case filter.And:
		return filter.And(list(e))
	case filter.Or:
		return filter.Or(list(e))
	case filter.Compare:
		e.Left, e.Right = operand(e.Left), operand(e.Right)
		return e
	case filter.IsNull:
		e.Of = operand(e.Of)
		return e
	}
	return e
}
