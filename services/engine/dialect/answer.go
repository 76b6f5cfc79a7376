package dialect

import (
	"tenantry/policy/filter"
	"tenantry/services/engine/plan"
)

// answered writes a column as a response has it: part of a json value, a shape
// as GeoJSON, a number as text.
func (w *writer) answered(c *plan.Column, row *scope) {
	row.compute(c.Name, c.Of)
	switch {
	case c.GeoJSON && !c.Type.Array() && onlyPlain(c.Cases):
		w.text(quote(c.Type.Schema) + ".st_asgeojson(")
		w.cell(row, c.Name, c.Type, c.Cases)
		w.text(", 15, 4)::json")
	case c.Path != nil:
		w.text("(")
		w.cell(row, c.Name, c.Type, c.Cases)
		w.text(" #> ")
		w.value(*c.Path)
		w.text(")")
	case c.Upper:
		w.text("upper(")
		w.cell(row, c.Name, c.Type, c.Cases)
		w.text(")")
	case c.AsText:
		w.text("(")
		w.cell(row, c.Name, c.Type, c.Cases)
		w.text(")::text")
		if c.Type.Array() {
			w.text("[]")
		}
	default:
		w.cell(row, c.Name, c.Type, c.Cases)
	}
}

// onlyPlain reports whether every case shows the value or nothing: what a mask
// leaves has another type.
func onlyPlain(cases []filter.Case) bool {
	for _, one := range cases {
		if one.Shows != nil || one.Mask != filter.Plain && one.Mask != filter.Hidden {
			return false
		}
	}
	return true
}

// predicate writes a function of an extension.
func (w *writer) predicate(p filter.Predicate, row *scope) {
	w.text("(" + quote(p.Schema) + "." + quote(p.Function) + "(")
	for i, a := range p.Arguments {
		w.comma(i)
		w.operand(a, row)
	}
	w.text("))")
}

// extensionOperators are the operators of types that extensions bring: they are
// looked for where the type is, whatever the search path.
var extensionOperators = map[filter.Op]string{
	filter.Ancestor: "@>", filter.AncestorAny: "@>", filter.Descendant: "<@", filter.DescendantAny: "<@",
	filter.Matches: "~", filter.MatchesAny: "?", filter.MatchesFulltext: "@",
}

// operator writes the operator between two sides.
func (w *writer) operator(op filter.Op, left filter.Operand) bool {
	if sql, ok := operators[op]; ok {
		w.text(" " + sql + " ")
		return true
	}
	sql, ok := extensionOperators[op]
	if column, is := left.(filter.Column); ok && is {
		w.text(" OPERATOR(" + quote(column.Type.Schema) + "." + sql + ") ")
		return true
	}
	return false
}
