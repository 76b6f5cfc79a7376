package filter

import "tenantry/tenants/catalog"

// Function is a call of a SQL function of the tenant: the value of a computed
// field, or rows.
type Function struct {
	Name catalog.Name
	// Arguments in the function's order; those that are left out have defaults.
	Arguments []Argument
}

// Argument is one argument of a call: the row or a value.
type Argument struct {
	// At is the argument's place, from 0, and Name its name, for when one before
	// it was left out; Name may be empty.
	At   int
	Name string
	// Row is true when it gets the row that the expression is about; of a function
	// that yields rows, the row around them.
	Row   bool
	Value Param
}

func (p *printer) function(f *Function) {
	p.WriteString(quoted(f.Name.Schema) + "." + quoted(f.Name.Name) + "(")
	for i, a := range f.Arguments {
		if i > 0 {
			p.WriteString(", ")
		}
		if a.Row {
			p.WriteString("*")
		} else {
			p.param(a.Value)
		}
	}
	p.WriteString(")")
}
