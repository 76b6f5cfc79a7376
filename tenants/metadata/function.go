package metadata

// Function is a tracked SQL function (contracts §9.1).
type Function struct {
	// Function has the form of a table's name: the schema public may be left out.
	Function      TableName              `json:"function"`
	Comment       string                 `json:"comment,omitempty"`
	Configuration *FunctionConfiguration `json:"configuration,omitempty"`
	Permissions   []FunctionPermission   `json:"permissions,omitempty"`
}

// FunctionConfiguration renames a function and says how it is exposed.
type FunctionConfiguration struct {
	CustomName       string              `json:"custom_name,omitempty"`
	CustomRootFields *FunctionRootFields `json:"custom_root_fields,omitempty"`
	// SessionArgument is the argument, of a JSON type, that gets the session.
	SessionArgument string `json:"session_argument,omitempty"`
	// ExposedAs is "query" or "mutation"; empty follows the function's volatility.
	ExposedAs string `json:"exposed_as,omitempty"`
}

// FunctionRootFields are the custom names of a function's root fields.
type FunctionRootFields struct {
	Function          string `json:"function,omitempty"`
	FunctionAggregate string `json:"function_aggregate,omitempty"`
}

// FunctionPermission lets a role call a function.
type FunctionPermission struct {
	Role string `json:"role"`
}

// ComputedField is a field of a table that a function computes from a row.
type ComputedField struct {
	Name string `json:"name"`
	// Comment, when it is there, stands for what the engine would say of the field;
	// empty is no description.
	Comment    *string                 `json:"comment,omitempty"`
	Definition ComputedFieldDefinition `json:"definition"`
}

// ComputedFieldDefinition names the function and the arguments that it gets: the
// row (the first argument unless named) and the session.
type ComputedFieldDefinition struct {
	Function        TableName `json:"function"`
	TableArgument   string    `json:"table_argument,omitempty"`
	SessionArgument string    `json:"session_argument,omitempty"`
}

func (f *Function) canonical() {
	by(f.Permissions, func(p FunctionPermission) string { return p.Role })
	c := f.Configuration
	if c == nil {
		return
	}
	if r := c.CustomRootFields; r != nil && *r == (FunctionRootFields{}) {
		c.CustomRootFields = nil
	}
	if *c == (FunctionConfiguration{}) {
		f.Configuration = nil
	}
}

// functions validates the functions of a source.
func (d *decoder) functions(list []Function, at string) {
	names := unique{c: d, what: "function"}
	for i, f := range list {
		path := index(at, i)
		names.add(path+".function", f.Function.String())
		d.function(f, path)
	}
}

func (d *decoder) function(f Function, at string) {
	if c := f.Configuration; c != nil && c.ExposedAs != "" && c.ExposedAs != "query" && c.ExposedAs != "mutation" {
		d.fail(at+".configuration.exposed_as", "expected query or mutation")
	}
	roles(d, at+".permissions", f.Permissions, func(p FunctionPermission) string { return p.Role })
}

// computedFields validates the computed fields of a table.
func (d *decoder) computedFields(list []ComputedField, at string) {
	names := unique{c: d, what: "computed field"}
	for i, f := range list {
		names.add(index(at, i)+".name", f.Name)
	}
}
