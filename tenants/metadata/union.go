package metadata

import (
	"encoding/json"
	"reflect"
)

// unmarshal is the UnmarshalJSON of all unions.
func unmarshal(u union, data []byte) error {
	n, err := scan(data)
	if err != nil {
		return err
	}
	d := &decoder{}
	u.decode(d, n, "$")
	return d.err()
}

// String is the name as messages write it: without the schema public.
func (t TableName) String() string {
	if t.Schema == "public" {
		return t.Name
	}
	return t.Schema + "." + t.Name
}

// UnmarshalJSON reads "name" or {"schema", "name"}; the schema may be left out.
func (t *TableName) UnmarshalJSON(data []byte) error { return unmarshal(t, data) }

func (t *TableName) decode(d *decoder, n node, path string) {
	switch n.kind() {
	case '"':
		*t = TableName{Schema: "public", Name: unquote(n.raw)}
		d.noNUL(t.Name, path)
	case '{':
		var object struct {
			Schema string `json:"schema,omitempty"`
			Name   string `json:"name"`
		}
		object.Schema = "public"
		d.object(n, reflect.ValueOf(&object).Elem(), path)
		*t = TableName{Schema: object.Schema, Name: object.Name}
	default:
		d.fail(path, "expected a table's name or {schema, name}, but got %s", n.what())
		return
	}
	if t.Name == "" || t.Schema == "" {
		d.fail(path, "empty string not allowed")
	}
}

// MarshalJSON writes "*" or the list.
func (c Columns) MarshalJSON() ([]byte, error) {
	if c.All {
		return []byte(`"*"`), nil
	}
	if c.List == nil {
		return []byte(`[]`), nil
	}
	return json.Marshal(c.List)
}

// UnmarshalJSON reads "*" or a list of columns.
func (c *Columns) UnmarshalJSON(data []byte) error { return unmarshal(c, data) }

func (c *Columns) decode(d *decoder, n node, path string) {
	*c = Columns{}
	switch {
	case string(n.raw) == `"*"`:
		c.All = true
	case n.kind() == '[':
		d.value(n, reflect.ValueOf(&c.List).Elem(), path)
	default:
		d.fail(path, "expected \"*\" or a list of columns, but got %s", n.what())
	}
}

// MarshalJSON writes the shortest form.
func (f ForeignKeyOn) MarshalJSON() ([]byte, error) {
	var columns any = f.Columns
	if len(f.Columns) == 1 {
		columns = f.Columns[0]
	}
	switch {
	case f.Table == nil:
		return json.Marshal(columns)
	case len(f.Columns) == 1:
		return json.Marshal(map[string]any{"table": f.Table, "column": columns})
	}
	return json.Marshal(map[string]any{"table": f.Table, "columns": columns})
}

// UnmarshalJSON reads a column, a list of columns, or {table, column|columns}.
func (f *ForeignKeyOn) UnmarshalJSON(data []byte) error { return unmarshal(f, data) }

func (f *ForeignKeyOn) decode(d *decoder, n node, path string) {
	*f = ForeignKeyOn{}
	switch n.kind() {
	case '"':
		f.Columns = []string{unquote(n.raw)}
	case '[':
		d.value(n, reflect.ValueOf(&f.Columns).Elem(), path)
	case '{':
		var object struct {
			Table   TableName `json:"table"`
			Column  *string   `json:"column,omitempty"`
			Columns oneOrMore `json:"columns,omitempty"`
		}
		d.object(n, reflect.ValueOf(&object).Elem(), path)
		f.Table, f.Columns = &object.Table, object.Columns
		if object.Column != nil {
			if object.Columns != nil {
				d.fail(path, "expected either column or columns")
			}
			f.Columns = []string{*object.Column}
		}
	default:
		d.fail(path, "expected a column, a list of columns or {table, column}, but got %s", n.what())
		return
	}
	if len(f.Columns) == 0 {
		d.fail(path, "expected at least one column")
	}
}

// oneOrMore is a list of names; one name may stand for a list of one.
type oneOrMore []string

// UnmarshalJSON reads a name or a list of names.
func (o *oneOrMore) UnmarshalJSON(data []byte) error { return unmarshal(o, data) }

func (o *oneOrMore) decode(d *decoder, n node, path string) {
	if n.kind() == '"' {
		*o = oneOrMore{unquote(n.raw)}
		return
	}
	d.value(n, reflect.ValueOf((*[]string)(o)).Elem(), path)
}

// UnmarshalJSON reads exactly one of the two forms.
func (u *Using) UnmarshalJSON(data []byte) error { return unmarshal(u, data) }

func (u *Using) decode(d *decoder, n node, path string) {
	*u = Using{}
	if !d.expect(n, '{', path, "an object") {
		return
	}
	before := len(d.problems)
	d.object(n, reflect.ValueOf(u).Elem(), path)
	if len(d.problems) == before && (u.ForeignKey == nil) == (u.Manual == nil) {
		d.fail(path, "expected either foreign_key_constraint_on or manual_configuration")
	}
}

// MarshalJSON writes "IP" or the list.
func (u UniqueParams) MarshalJSON() ([]byte, error) {
	if len(u) == 1 && u[0] == "IP" {
		return []byte(`"IP"`), nil
	}
	return json.Marshal([]string(u))
}

// UnmarshalJSON reads "IP" or a list of session variables.
func (u *UniqueParams) UnmarshalJSON(data []byte) error { return unmarshal(u, data) }

func (u *UniqueParams) decode(d *decoder, n node, path string) {
	*u = nil
	switch {
	case n.isNull():
	case string(n.raw) == `"IP"`:
		*u = UniqueParams{"IP"}
	case n.kind() == '[':
		var list []string
		d.value(n, reflect.ValueOf(&list).Elem(), path)
		*u = list
	default:
		d.fail(path, "expected \"IP\" or a list of session variables, but got %s", n.what())
	}
}
