package metadata

// SourceCustomization says how the names of a source's fields and types are
// made, so that several sources fit in one schema.
type SourceCustomization struct {
	RootFields *RootFieldsCustomization `json:"root_fields,omitempty"`
	TypeNames  *TypeNamesCustomization  `json:"type_names,omitempty"`
	// NamingConvention is hasura-default (also when empty) or graphql-default.
	NamingConvention string `json:"naming_convention,omitempty"`
}

// RootFieldsCustomization goes around the root fields of a source.
type RootFieldsCustomization struct {
	Namespace string `json:"namespace,omitempty"`
	Prefix    string `json:"prefix,omitempty"`
	Suffix    string `json:"suffix,omitempty"`
}

// TypeNamesCustomization goes around the generated types of a source.
type TypeNamesCustomization struct {
	Prefix string `json:"prefix,omitempty"`
	Suffix string `json:"suffix,omitempty"`
}

func (d *decoder) customization(c *SourceCustomization, at string) {
	if c == nil {
		return
	}
	switch c.NamingConvention {
	case "", "hasura-default", "graphql-default":
	default:
		d.fail(at+".naming_convention", "expected hasura-default or graphql-default")
	}
	name := func(path, text string, first bool) {
		for i := 0; i < len(text); i++ {
			b := text[i]
			if b != '_' && (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9' || first && i == 0) {
				d.fail(path, "%q can't be part of a GraphQL name", text)
				return
			}
		}
	}
	if f := c.RootFields; f != nil {
		name(at+".root_fields.namespace", f.Namespace, true)
		name(at+".root_fields.prefix", f.Prefix, true)
		name(at+".root_fields.suffix", f.Suffix, false)
	}
	if t := c.TypeNames; t != nil {
		name(at+".type_names.prefix", t.Prefix, true)
		name(at+".type_names.suffix", t.Suffix, false)
	}
}
