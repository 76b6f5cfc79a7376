package settings

// Compat holds the switches of the dialect that projects coming from elsewhere
// may depend on. Each has the ordinary behaviour when it is left out.
type Compat struct {
	// StringifyNumericTypes answers bigint, numeric and float8 as strings.
	StringifyNumericTypes bool `json:"stringify_numeric_types,omitempty"`
	// V1BooleanNullCollapse takes a null where a condition is wanted as true
	// instead of refusing it.
	V1BooleanNullCollapse bool `json:"v1_boolean_null_collapse,omitempty"`
	// InferFunctionPermissions lets whoever may read a table call the functions
	// without side effects that return its rows.
	InferFunctionPermissions bool `json:"infer_function_permissions,omitempty"`
	// IgnoreNamingConventions makes all names as the database has them, whatever
	// naming convention a source's customization asks for.
	IgnoreNamingConventions bool `json:"ignore_naming_conventions,omitempty"`
	// ApolloFederation makes the project a subgraph: tables that say so are its
	// entities.
	ApolloFederation bool `json:"apollo_federation,omitempty"`
	// ClientHeadersFirst lets a forwarded header of the client win over one that an
	// action configures, instead of the other way round.
	ClientHeadersFirst bool `json:"client_headers_first,omitempty"`
}

// DecodeCompat reads the switches strictly; the error is Mistakes.
func DecodeCompat(text []byte) (Compat, error) {
	var m Mistakes
	v, err := decode(text)
	if err != nil {
		m.add("", "expected one JSON object")
		return Compat{}, m
	}
	var c Compat
	m.object(v, "", fields{
		"stringify_numeric_types":    m.flag(&c.StringifyNumericTypes),
		"v1_boolean_null_collapse":   m.flag(&c.V1BooleanNullCollapse),
		"infer_function_permissions": m.flag(&c.InferFunctionPermissions),
		"ignore_naming_conventions":  m.flag(&c.IgnoreNamingConventions),
		"apollo_federation":          m.flag(&c.ApolloFederation),
		"client_headers_first":       m.flag(&c.ClientHeadersFirst),
	})
	return c, m.err()
}
