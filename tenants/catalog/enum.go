package catalog

// EnumValue is a row of a table that is used as an enum.
type EnumValue struct {
	Value   string `json:"value"`
	Comment string `json:"comment,omitempty"`
}

// EnumText reports whether values of a type can be the values of an enum table.
func EnumText(t TypeRef) bool {
	return !t.Array() && t.Schema == "pg_catalog" && (t.Name == "text" || t.Name == "varchar")
}

// EnumComment is the column of an enum table that is not its key.
func (t *Table) EnumComment() (*Column, bool) {
	for i := range t.Columns {
		if t.PrimaryKey == nil || len(t.PrimaryKey.Columns) != 1 || t.PrimaryKey.Columns[0] != t.Columns[i].Name {
			return &t.Columns[i], true
		}
	}
	return nil, false
}

// MayBeEnum reports whether the table has the form of an enum: a key of text
// and at most one more column of text.
func (t *Table) MayBeEnum() bool {
	if t.PrimaryKey == nil || len(t.PrimaryKey.Columns) != 1 || len(t.Columns) > 2 {
		return false
	}
	for _, c := range t.Columns {
		if !EnumText(c.Type) {
			return false
		}
	}
	return true
}

// WithValues is fresh with the values that c knows of enum tables: equal to c
// exactly when nothing but rows has changed. Neither is modified.
func (c *Catalog) WithValues(fresh *Catalog) *Catalog {
	out := *fresh
	out.Tables = append([]Table(nil), fresh.Tables...)
	for i := range out.Tables {
		if known, ok := c.Table(out.Tables[i].Name); ok {
			out.Tables[i].Values = known.Values
		}
	}
	return &out
}
