package authz

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// scope is a row that a condition can speak of: that of the policy's table, or
// one that a relationship leads to.
type scope struct {
	table *model.Table
	// parent and via lead to the row, which is nil for the policy's own row; key is
	// the variable that runs over an array relationship.
	parent *scope
	via    *model.Relationship
	key    ast.Var
	// nest is the row inside whose EXISTS this row's EXISTS stands, depth how many
	// EXISTS are around its conditions.
	nest  *scope
	depth int
}

// within reports whether s is o or stands inside o's EXISTS.
func (s *scope) within(o *scope) bool {
	for ; s != nil; s = s.nest {
		if s == o {
			return true
		}
	}
	return false
}

// value is what a term of a residual stands for.
type value interface{ rows() []*scope }

type (
	// constantValue is a scalar or collection of the module.
	constantValue struct{ of ast.Value }
	// columnValue is a column of a row.
	columnValue struct {
		of     *scope
		column *model.Column
	}
	// textValue is lower or upper of a text.
	textValue struct {
		function string
		of       value
	}
	// rowValue is a row, relatedValue the rows of an array relationship.
	rowValue     struct{ of *scope }
	relatedValue struct {
		of  *scope
		via *model.Relationship
	}
	// freeValue is a term in which no row has a part.
	freeValue struct {
		term *ast.Term
		*group
	}
	// ruleValue is the value of a rule or function over rows.
	ruleValue struct {
		rules []*ast.Rule
		args  []value
		at    *ast.Location
	}
	// truthValue is a comparison's result.
	truthValue struct {
		op   filter.Op
		a, b value
	}
	// missingValue is undefined: a column that the table does not have.
	missingValue struct{}
	// boundValue is what a variable was bound to.
	boundValue struct {
		value
		*binding
	}
)

// binding is a variable of a body. strict is set once a condition that is part of
// the body's conjunction fails where the variable is NULL; otherwise the body has
// to say that it is not.
type binding struct {
	body   *body
	strict bool
}

func (constantValue) rows() []*scope  { return nil }
func (v columnValue) rows() []*scope  { return []*scope{v.of} }
func (v textValue) rows() []*scope    { return v.of.rows() }
func (v rowValue) rows() []*scope     { return []*scope{v.of} }
func (v relatedValue) rows() []*scope { return []*scope{v.of} }
func (freeValue) rows() []*scope      { return nil }
func (v ruleValue) rows() []*scope {
	var all []*scope
	for _, a := range v.args {
		all = append(all, a.rows()...)
	}
	return all
}
func (v truthValue) rows() []*scope { return append(slices.Clone(v.a.rows()), v.b.rows()...) }
func (missingValue) rows() []*scope { return nil }

// plain is a value without the variable that it was bound to.
func plain(v value) value {
	if b, ok := v.(boundValue); ok {
		return plain(b.value)
	}
	return v
}

// kind is how a type of Postgres looks in Rego.
type kind string

const (
	textKind    kind = "a text"
	uuidKind    kind = "a uuid, a text"
	enumKind    kind = "an enum, a text"
	numberKind  kind = "a number"
	booleanKind kind = "a boolean"
	opaqueKind  kind = "of a type or collation that can only be compared with null"
)

// kindOf is the kind of a column.
func kindOf(c *model.Column) kind {
	if c.List() || c.Loose {
		return opaqueKind
	}
	if c.Base.Schema != "pg_catalog" {
		if c.Category == "E" {
			return enumKind
		}
		return opaqueKind // citext among them, whose equality is its own
	}
	switch c.Base.Name {
	case "text", "varchar":
		return textKind
	case "uuid":
		return uuidKind
	case "int2", "int4", "int8", "numeric", "float4", "float8":
		return numberKind
	case "bool":
		return booleanKind
	}
	return opaqueKind
}

func system(name string) catalog.TypeRef { return catalog.TypeRef{Schema: "pg_catalog", Name: name} }

func listOf(t catalog.TypeRef) catalog.TypeRef { t.Dimensions++; return t }

// related types can be compared in SQL with the result that Rego has.
func comparable2(a, b *model.Column) bool {
	ka, kb := kindOf(a), kindOf(b)
	switch {
	case ka != kb || ka == opaqueKind:
		return false
	case ka == numberKind:
		return a.Base == b.Base || !binary(a.Base) && !binary(b.Base)
	case ka == enumKind:
		return a.Base == b.Base
	}
	return true
}

// binary reports a floating-point type.
func binary(t catalog.TypeRef) bool { return t.Name == "float4" || t.Name == "float8" }
