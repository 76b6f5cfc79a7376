package plan

import (
	"slices"
	"strings"
)

// Columns lists the columns of the root table that the field touches, for policies
// and the audit; sorted.
func (f *Field) Columns() []string {
	var names []string
	read := func(output []Output) { names = append(names, columnsOf(output)...) }
	answer := func(r Returning) {
		for _, m := range r.Members {
			read(m.Rows)
		}
	}
	switch {
	case f.Select != nil:
		read(f.Select.Output)
		for _, node := range f.Select.Connection.Nodes() {
			read(node)
		}
		if f.Select.Aggregate != nil {
			names = append(names, f.Select.Aggregate.Columns()...)
		}
	case f.Insert != nil:
		for _, c := range f.Insert.Columns {
			names = append(names, c.Name)
		}
		answer(f.Insert.Returning)
	case f.Update != nil:
		for _, a := range f.Update.Set {
			names = append(names, a.Column.Name)
		}
		answer(f.Update.Returning)
	case f.Updates != nil:
		for _, u := range f.Updates {
			for _, a := range u.Set {
				names = append(names, a.Column.Name)
			}
			answer(u.Returning)
		}
	case f.Delete != nil:
		answer(f.Delete.Returning)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Columns lists the columns of the type's table that are read; sorted.
func (e Entity) Columns() []string {
	names := columnsOf(e.Join.Select.Output)
	slices.Sort(names)
	return slices.Compact(names)
}

func columnsOf(output []Output) []string {
	var names []string
	for _, o := range output {
		if o.Column != nil {
			names = append(names, columnName(o.Column.Name))
		}
	}
	return names
}

// Actions are the actions that the operation calls, by name, as often as it does.
func (p *Plan) Actions() []string {
	var names []string
	for i := range p.Fields {
		if a := p.Fields[i].Action; a != nil {
			names = append(names, a.Action.Name)
		}
	}
	return names
}

// columnName is a column as policies and the audit name it: a computed field by
// its name in GraphQL.
func columnName(name string) string {
	if computed, ok := strings.CutPrefix(name, "\x00"); ok {
		name, _, _ = strings.Cut(computed, "\x00")
	}
	return name
}
