package model

import (
	"fmt"
	"slices"
	"strings"

	"tenantry/tenants/catalog"
)

// TableEnum is a table whose rows are the values of a GraphQL enum.
type TableEnum struct {
	// Type is the name of the enum.
	Type   string
	Table  *Table
	Values []TableEnumValue
	// Renamed is true when names and stored values differ.
	Renamed bool
}

// TableEnumValue is one row of an enum table.
type TableEnumValue struct{ Name, Stored, Comment string }

// Stored is the value of the database that a name stands for.
func (e *TableEnum) Stored(name string) (string, bool) {
	for _, v := range e.Values {
		if v.Name == name {
			return v.Stored, true
		}
	}
	return "", false
}

const enumSuffix = "_enum"

// enums turns the tables that are marked as enums into enums, and the columns
// that refer to them into columns of those. A table that can't be an enum is
// left out.
func (r *resolver) enums() {
	r.model.Tables = slices.DeleteFunc(r.model.Tables, func(t *Table) bool {
		if !t.Metadata.IsEnum {
			return false
		}
		e, err := t.enum()
		if err == nil {
			r.model.Enums[e.Type] = e
			return false
		}
		r.report(t.inconsistency(t.Pointer, err.Error()))
		delete(r.model.byName, tableKey{t.Source, t.Name})
		return true
	})
	for _, t := range r.model.Tables {
		for _, key := range t.Catalog.ForeignKeys {
			target, ok := r.model.Table(t.Source, key.Target)
			if !ok || len(key.Columns) != 1 {
				continue
			}
			e := r.model.Enums[target.TypeName(enumSuffix)]
			column := t.stored[key.Columns[0]]
			if e == nil || e.Table != target || column == nil || column.List() {
				continue
			}
			column.Enum, column.Scalar = e, e.Type
		}
	}
}

// enum makes the enum of a table.
func (t *Table) enum() (*TableEnum, error) {
	if problems := t.enumProblems(); len(problems) > 0 {
		if len(problems) == 1 {
			return nil, fmt.Errorf("the table %q cannot be used as an enum because %s", ShortName(t.Name), problems[0])
		}
		return nil, fmt.Errorf("the table %q cannot be used as an enum for the following reasons:\n  • %s\n",
			ShortName(t.Name), strings.Join(problems, "\n  • "))
	}
	e := &TableEnum{Type: t.TypeName(enumSuffix), Table: t}
	seen := map[string]bool{}
	for _, v := range t.Catalog.Values {
		name := v.Value
		if t.Naming.Camel {
			name = strings.ToUpper(name)
		}
		if seen[name] {
			return nil, fmt.Errorf("the table %q cannot be used as an enum because two of its values have the name %q", ShortName(t.Name), name)
		}
		seen[name] = true
		e.Renamed = e.Renamed || name != v.Value
		e.Values = append(e.Values, TableEnumValue{Name: name, Stored: v.Value, Comment: v.Comment})
	}
	return e, nil
}

// enumProblems says why a table can't be an enum.
func (t *Table) enumProblems() []string {
	var problems []string
	switch key := t.Catalog.PrimaryKey; {
	case key == nil:
		problems = append(problems, "the table must have a primary key")
	case len(key.Columns) != 1:
		problems = append(problems, fmt.Sprintf("the table’s primary key must not span multiple columns (%s)", strings.Join(key.Columns, ", ")))
	default:
		if c, ok := t.Catalog.Column(key.Columns[0]); ok && !catalog.EnumText(c.Type) {
			problems = append(problems, fmt.Sprintf("the table’s primary key (%q) must have type \"text\", not type %q", c.Name, formatted(c.Type)))
		}
	}
	if n := len(t.Catalog.Columns); n > 2 {
		names := make([]string, n)
		for i, c := range t.Catalog.Columns {
			names[i] = c.Name
		}
		slices.Sort(names)
		problems = append(problems, fmt.Sprintf("the table must have exactly one primary key and optionally one comment column, not %d columns (%s)", n, strings.Join(names, ", ")))
	} else if c, ok := t.Catalog.EnumComment(); ok && !catalog.EnumText(c.Type) {
		problems = append(problems, fmt.Sprintf("the table’s comment column (%q) must have type \"text\", not type %q", c.Name, formatted(c.Type)))
	}
	if len(problems) > 0 {
		return problems
	}
	if len(t.Catalog.Values) == 0 {
		return []string{"the table must have at least one row"}
	}
	var wrong []string
	for _, v := range t.Catalog.Values {
		if !usableEnumValue(v.Value) {
			wrong = append(wrong, fmt.Sprintf("%q", v.Value))
		}
	}
	switch {
	case len(wrong) == 1:
		problems = append(problems, fmt.Sprintf("the value %s is not a valid GraphQL enum value name", wrong[0]))
	case len(wrong) > 1:
		problems = append(problems, fmt.Sprintf("the values %s are not valid GraphQL enum value names", strings.Join(wrong, ", ")))
	}
	return problems
}

// usableEnumValue reports whether GraphQL lets an enum have the value.
func usableEnumValue(v string) bool {
	return ValidName(v) && v != "true" && v != "false" && v != "null"
}

// formatted is a type as Postgres writes it.
func formatted(t catalog.TypeRef) string {
	name := map[string]string{
		"int2": "smallint", "int4": "integer", "int8": "bigint", "bool": "boolean", "float4": "real", "float8": "double precision",
		"timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone", "bpchar": "character",
	}[t.Name]
	if name == "" {
		name = t.Name
	}
	return name + strings.Repeat("[]", t.Dimensions)
}
