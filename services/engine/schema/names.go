package schema

import (
	"sort"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/tenants/model"
)

// Names of types that no table owns.
const (
	QueryRoot        = "query_root"
	MutationRoot     = "mutation_root"
	SubscriptionRoot = "subscription_root"
	OrderByEnum      = "order_by"
	// NoQueriesField is the only field of a query root without fields, and
	// NoQueriesMessage its value.
	NoQueriesField   = "no_queries_available"
	NoQueriesMessage = "There are no queries available to the current role: no tables are tracked, or the role lacks permissions."
	// Placeholder is the only value of an enum of columns without columns.
	Placeholder = "_PLACEHOLDER"
)

// Names of arguments and input fields that the planner reads.
const (
	Where         = "where"
	OrderBy       = "order_by"
	Limit         = "limit"
	Offset        = "offset"
	DistinctOn    = "distinct_on"
	Path          = "path"
	Objects       = "objects"
	Object        = "object"
	OnConflict    = "on_conflict"
	Constraint    = "constraint"
	UpdateColumns = "update_columns"
	PKColumns     = "pk_columns"
	Updates       = "updates"
	Set           = "_set"
	Inc           = "_inc"
	Append        = "_append"
	Prepend       = "_prepend"
	DeleteKey     = "_delete_key"
	DeleteElem    = "_delete_elem"
	DeleteAtPath  = "_delete_at_path"
	AffectedRows  = "affected_rows"
	Returning     = "returning"
	And           = "_and"
	Or            = "_or"
	Not           = "_not"
)

// Suffixes of the types generated for a table with the base name B.
const (
	boolExpSuffix          = "_bool_exp"
	orderBySuffix          = "_order_by"
	selectColumnSuffix     = "_select_column"
	insertInputSuffix      = "_insert_input"
	setInputSuffix         = "_set_input"
	incInputSuffix         = "_inc_input"
	appendInputSuffix      = "_append_input"
	prependInputSuffix     = "_prepend_input"
	deleteKeyInputSuffix   = "_delete_key_input"
	deleteElemInputSuffix  = "_delete_elem_input"
	deleteAtPathSuffix     = "_delete_at_path_input"
	pkColumnsInputSuffix   = "_pk_columns_input"
	mutationResponseSuffix = "_mutation_response"
	onConflictSuffix       = "_on_conflict"
	constraintSuffix       = "_constraint"
	updateColumnSuffix     = "_update_column"
	comparisonSuffix       = "_comparison_exp"
	arrayComparisonSuffix  = "_array_comparison_exp"
)

// generated lists the types of a table; build gives nil where the role lacks it.
var generated []generatedType

type generatedType struct {
	suffix string
	build  func(s *Schema, t *model.Table, name string) *ast.Definition
}

func init() { // a literal would refer to itself through the builders
	generated = append(generated, []generatedType{
		{boolExpSuffix, (*Schema).boolExp},
		{orderBySuffix, (*Schema).orderBy},
		{selectColumnSuffix, (*Schema).selectColumn},
		{insertInputSuffix, (*Schema).insertInput},
		{pkColumnsInputSuffix, (*Schema).pkColumnsInput},
		{mutationResponseSuffix, (*Schema).mutationResponse},
		{onConflictSuffix, (*Schema).onConflict},
		{constraintSuffix, (*Schema).constraintEnum},
		{updateColumnSuffix, (*Schema).updateColumn},
		{objectInsertInputSuffix, (*Schema).objectInsertInput},
		{arrayInsertInputSuffix, (*Schema).arrayInsertInput},
		{updatesSuffix, (*Schema).updatesInput},
	}...)
	for _, o := range updateOperators {
		generated = append(generated, generatedType{o.suffix, func(s *Schema, t *model.Table, name string) *ast.Definition {
			return s.updateInput(t, name, o)
		}})
	}
}

// RootType is the name of the root type of op; empty when there is none.
func (s *Schema) RootType(op ast.Operation) string {
	switch op {
	case ast.Query:
		return QueryRoot
	case ast.Mutation:
		return MutationRoot
	case ast.Subscription:
		return SubscriptionRoot
	}
	return ""
}

// MutationResponse is the name of the type that a table's bulk mutations answer.
func MutationResponse(t *model.Table) string { return t.TypeName(mutationResponseSuffix) }

func named(name string) *ast.Type   { return &ast.Type{NamedType: name} }
func nonNull(name string) *ast.Type { return &ast.Type{NamedType: name, NonNull: true} }

// listOf is [name!].
func listOf(name string) *ast.Type { return &ast.Type{Elem: nonNull(name)} }

// nonNullListOf is [name!]!.
func nonNullListOf(name string) *ast.Type { return &ast.Type{Elem: nonNull(name), NonNull: true} }

func must(t *ast.Type) *ast.Type {
	c := *t
	c.NonNull = true
	return &c
}

// columnType is a column's type where null is allowed.
func columnType(c *model.Column) *ast.Type {
	if c.List() {
		return listOf(c.Scalar)
	}
	return named(c.Scalar)
}

// refType is a type reference of an action or custom type.
func refType(t model.TypeRef) *ast.Type {
	if t.Of != nil {
		return &ast.Type{Elem: refType(*t.Of), NonNull: t.NonNull}
	}
	return &ast.Type{NamedType: t.Name, NonNull: t.NonNull}
}

func sortFields(fields ast.FieldList) ast.FieldList {
	sort.Slice(fields, func(i, j int) bool { return fields[i].Name < fields[j].Name })
	return fields
}

func sortArguments(args ast.ArgumentDefinitionList) ast.ArgumentDefinitionList {
	sort.Slice(args, func(i, j int) bool { return args[i].Name < args[j].Name })
	return args
}

func enum(name, description string, values []string) *ast.Definition {
	d := &ast.Definition{Kind: ast.Enum, Name: name, Description: description}
	sort.Strings(values)
	for _, v := range values {
		d.EnumValues = append(d.EnumValues, &ast.EnumValueDefinition{Name: v})
	}
	return d
}

func orderByEnum(n *model.Naming) *ast.Definition {
	d := &ast.Definition{Kind: ast.Enum, Name: n.Shared(OrderByEnum), Description: "column ordering options"}
	for _, v := range []ast.EnumValueDefinition{
		{Name: "asc", Description: "in ascending order, nulls last"},
		{Name: "asc_nulls_first", Description: "in ascending order, nulls first"},
		{Name: "asc_nulls_last", Description: "in ascending order, nulls last"},
		{Name: "desc", Description: "in descending order, nulls first"},
		{Name: "desc_nulls_first", Description: "in descending order, nulls first"},
		{Name: "desc_nulls_last", Description: "in descending order, nulls last"},
	} {
		d.EnumValues = append(d.EnumValues, &ast.EnumValueDefinition{Name: n.EnumValue(v.Name), Description: v.Description})
	}
	return d
}
