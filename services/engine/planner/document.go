package planner

import (
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/policy/filter"
	"tenantry/services/engine/plan"
	"tenantry/tenants/catalog"
)

// anyJSON is what a variable inside JSON is written as, whatever it was declared as.
var anyJSON = catalog.TypeRef{Schema: "pg_catalog", Name: "json"}

// document is a JSON literal with variables in it: pieces of text and, between
// them, variables. Which variables are absent is part of the shape of a plan.
func document(v *ast.Value, vars map[string]any, t catalog.TypeRef) filter.Param {
	d := documentWriter{vars: vars}
	d.value(v)
	d.flush()
	return filter.Param{From: filter.Document, Items: d.items, Type: t}
}

type documentWriter struct {
	vars  map[string]any
	text  strings.Builder
	items []filter.Param
}

func (d *documentWriter) flush() {
	if d.text.Len() > 0 {
		d.items = append(d.items, filter.Param{From: filter.Literal, Name: d.text.String(), Type: anyJSON})
		d.text.Reset()
	}
}

func (d *documentWriter) value(v *ast.Value) {
	switch v.Kind {
	case ast.Variable:
		if _, present := d.vars[v.Raw]; !present {
			d.text.WriteString("null")
			return
		}
		d.flush()
		d.items = append(d.items, filter.Param{From: filter.Variable, Name: v.Raw, Type: anyJSON})
	case ast.ListValue:
		d.text.WriteByte('[')
		for i, c := range v.Children {
			if i > 0 {
				d.text.WriteByte(',')
			}
			d.value(c.Value)
		}
		d.text.WriteByte(']')
	case ast.ObjectValue:
		d.object(v)
	default:
		text, err := plan.Text(literalValue(v), anyJSON)
		if err != nil { // a scalar of the operation's text is JSON
			panic(err)
		}
		d.text.WriteString(text)
	}
}

// object writes the members whose values are there.
func (d *documentWriter) object(v *ast.Value) {
	members := slices.DeleteFunc(slices.Clone(v.Children), func(c *ast.ChildValue) bool {
		if c.Value.Kind != ast.Variable {
			return false
		}
		_, present := d.vars[c.Value.Raw]
		return !present
	})
	d.text.WriteByte('{')
	for i, c := range members {
		if i > 0 {
			d.text.WriteByte(',')
		}
		d.text.WriteString(strconv.Quote(c.Name) + ":")
		d.value(c.Value)
	}
	d.text.WriteByte('}')
}
