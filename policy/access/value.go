package access

import (
	"bytes"
	"encoding/json"
	"strings"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// param is a value of a rule: a session variable or a literal. Values have the
// type under a domain: comparing with one that the domain refuses is no error.
func (c *compiler) param(t catalog.TypeRef, value any, path string) filter.Param {
	if name, ok := c.variable(value); ok {
		return filter.Param{From: filter.Session, Name: strings.ToLower(name), Type: t}
	}
	text, ok := literal(t, value)
	if !ok {
		c.failAs(errcode.ParseFailed, path, "expected a value of type %s", typeName(t))
	}
	return filter.Param{From: filter.Literal, Name: text, Type: t}
}

// variable is the session variable that a value of a rule names; a client names
// none.
func (c *compiler) variable(value any) (string, bool) {
	name, ok := value.(string)
	return name, ok && c.reader == nil && session.IsVariable(name)
}

// preset is the value that the engine sets.
func (c *compiler) preset(column *model.Column, text rawJSON) filter.Param {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil || value == nil {
		return filter.Param{From: filter.Null, Type: column.Base}
	}
	return c.param(column.Base, value, "set."+column.StoredName())
}

// membership compiles _in and _nin. Values become one array; where Postgres has
// no array of them (columns that are arrays, session variables among the
// values), a comparison each.
func (s scope) membership(column *model.Column, left filter.Column, op filter.Op, value any, path string) filter.Expr {
	if _, ok := s.variable(value); ok && !column.List() {
		array := column.Base
		array.Dimensions++
		return filter.Compare{Left: left, Op: op, Right: s.param(array, value, path)}
	}
	list, ok := value.([]any)
	if !ok {
		s.fail(path, "expected a list or a session variable")
		return filter.False
	}
	one := column.List()
	for _, item := range list {
		if item == nil {
			s.fail(path, "unexpected null value in the list for column %q of %s", left.Name, s.where())
			return filter.False
		}
		_, ok := s.variable(item)
		one = one || ok
	}
	switch {
	case len(list) == 0 && op == filter.In:
		return filter.False
	case len(list) == 0:
		return filter.True
	case one && op == filter.In:
		return filter.Or(s.each(column, left, filter.Eq, list, path))
	case one:
		return filter.And(s.each(column, left, filter.Neq, list, path))
	}
	array := column.Base
	array.Dimensions++
	return filter.Compare{Left: left, Op: op, Right: s.param(array, list, path)}
}

func (s scope) each(column *model.Column, left filter.Column, op filter.Op, list []any, path string) []filter.Expr {
	all := make([]filter.Expr, len(list))
	for i, item := range list {
		all[i] = filter.Compare{Left: left, Op: op, Right: s.param(column.Base, item, path)}
	}
	return all
}

// Literal is a JSON value as Postgres reads it for a type; false when the type has
// no such value.
func Literal(t catalog.TypeRef, value any) (string, bool) { return literal(t, value) }

// literal is a JSON value as Postgres reads it, and whether the type can have
// such a value at all.
func literal(t catalog.TypeRef, value any) (string, bool) {
	if t.Array() {
		if list, ok := value.([]any); ok {
			return arrayLiteral(t, list)
		}
		text, ok := value.(string) // Postgres' own notation
		return text, ok
	}
	if t.Schema == "pg_catalog" && (t.Name == "json" || t.Name == "jsonb") {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		err := e.Encode(value)
		return strings.TrimSuffix(b.String(), "\n"), err == nil
	}
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	}
	return shape(t, value)
}

// arrayLiteral is a list as Postgres reads an array.
func arrayLiteral(t catalog.TypeRef, list []any) (string, bool) {
	inner := t
	inner.Dimensions--
	var out catalog.Array
	for _, item := range list {
		if item == nil {
			out.Null()
			continue
		}
		if nested, ok := item.([]any); ok && inner.Array() {
			text, ok := arrayLiteral(inner, nested)
			if !ok {
				return "", false
			}
			out.Nested(text)
			continue
		}
		// The catalog does not always know all dimensions: elements are read as
		// the element type.
		text, ok := literal(t.Element(), item)
		if !ok {
			return "", false
		}
		out.Add(text)
	}
	return out.String(), true
}

func typeName(t catalog.TypeRef) string { return t.Name + strings.Repeat("[]", t.Dimensions) }
