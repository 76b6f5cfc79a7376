package catalog

// Volatility of a function, as Postgres was told.
type Volatility string

// The volatilities.
const (
	Immutable Volatility = "immutable"
	Stable    Volatility = "stable"
	Volatile  Volatility = "volatile"
)

// Function is an ordinary SQL function: no aggregate, window function, procedure
// or trigger. Overloads are functions of the same name.
type Function struct {
	Name
	Comment    string     `json:"comment,omitempty"`
	Volatility Volatility `json:"volatility"`
	// Set is true when it returns a set of Returns.
	Set bool `json:"set,omitempty"`
	// Returns is the type of the result; that of a table is named like the table.
	Returns TypeRef `json:"returns"`
	// Arguments that a caller gives, in order: IN, INOUT and VARIADIC.
	Arguments []Argument `json:"arguments,omitempty"`
	// Outputs is true when the row that it returns is made by OUT arguments or
	// RETURNS TABLE, and is so no row of a table.
	Outputs bool `json:"outputs,omitempty"`
	// Variadic is true when the last argument takes any number of values; its type
	// is then an array.
	Variadic bool `json:"variadic,omitempty"`
}

// Argument is one argument of a function.
type Argument struct {
	// Name is empty for one that is only known by its place.
	Name    string  `json:"name,omitempty"`
	Type    TypeRef `json:"type"`
	Default bool    `json:"default,omitempty"` // may be left out
}

// Overloads finds all functions of a name.
func (c *Catalog) Overloads(name Name) []*Function {
	var found []*Function
	for i := range c.Functions {
		if c.Functions[i].Name == name {
			found = append(found, &c.Functions[i])
		}
	}
	return found
}
