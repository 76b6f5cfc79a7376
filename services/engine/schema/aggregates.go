package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/tenants/model"
)

// Names of fields and members that belong to aggregates.
const (
	Aggregate = "aggregate"
	Nodes     = "nodes"
	Count     = "count"
	Columns   = "columns"
	Distinct  = "distinct"
	Arguments = "arguments"
	Filter    = "filter"
	Predicate = "predicate"
)

// Suffixes of the types of aggregates.
const (
	aggregateSuffix        = "_aggregate"
	aggregateFieldsSuffix  = "_aggregate_fields"
	aggregateOrderBySuffix = "_aggregate_order_by"
	aggregateBoolExpSuffix = "_aggregate_bool_exp"
)

// aggregateFunction is one of the functions over a column (contracts §1.5).
type aggregateFunction struct {
	name string
	// takes says over which columns.
	takes func(*model.Column) bool
	// float is true when the result is a Float whatever the column is.
	float bool
}

// aggregateFunctions in the order of their names.
var aggregateFunctions = []aggregateFunction{
	{"avg", averaged, true}, {"max", ordered, false}, {"min", ordered, false},
	{"stddev", averaged, true}, {"stddev_pop", averaged, true}, {"stddev_samp", averaged, true},
	{"sum", numeric, false},
	{"var_pop", averaged, true}, {"var_samp", averaged, true}, {"variance", averaged, true},
}

// averaged reports whether averages of the column exist.
func averaged(c *model.Column) bool { return numeric(c) && c.Scalar != "money" }

// orderedTypes have max and min in Postgres, or text that sorts as they do.
var orderedTypes = map[string]bool{
	"int2": true, "int4": true, "int8": true, "float4": true, "float8": true, "numeric": true, "money": true,
	"text": true, "varchar": true, "bpchar": true, "citext": true, "name": true, "uuid": true,
	"date": true, "time": true, "timetz": true, "timestamp": true, "timestamptz": true, "interval": true,
	"inet": true, "cidr": true, "oid": true,
}

// ordered reports whether a column has a greatest and a least value.
func ordered(c *model.Column) bool {
	return c.Enum == nil && (orderedTypes[c.Base.Name] || c.Category == "E")
}

// boolFunctions are the functions of aggregate conditions beside count.
var boolFunctions = []string{"bool_and", "bool_or"}

const argumentsColumns = "_arguments_columns"

func init() {
	generated = append(generated,
		generatedType{aggregateSuffix, (*Schema).aggregate},
		generatedType{aggregateFieldsSuffix, (*Schema).aggregateFields},
		generatedType{aggregateOrderBySuffix, (*Schema).aggregateOrderBy},
		generatedType{aggregateBoolExpSuffix, (*Schema).aggregateBoolExp},
		generatedType{aggregateBoolExpSuffix + "_" + Count, (*Schema).countCondition},
	)
	for _, f := range aggregateFunctions {
		generated = append(generated,
			generatedType{"_" + f.name + "_fields", func(s *Schema, t *model.Table, name string) *ast.Definition {
				return s.functionFields(t, f, name)
			}},
			generatedType{"_" + f.name + "_order_by", func(s *Schema, t *model.Table, name string) *ast.Definition {
				return s.functionOrderBy(t, f, name)
			}})
	}
	for _, f := range boolFunctions {
		generated = append(generated, generatedType{aggregateBoolExpSuffix + "_" + f, func(s *Schema, t *model.Table, name string) *ast.Definition {
			return s.boolCondition(t, f, name)
		}})
	}
}

// aggregates reports whether the role may aggregate rows of the table.
func (s *Schema) aggregates(t *model.Table) bool {
	return s.selectable(t) && s.role.Table(t).Select.Aggregations
}

// aggregate is B_aggregate.
func (s *Schema) aggregate(t *model.Table, name string) *ast.Definition {
	if !s.aggregates(t) {
		return nil
	}
	return &ast.Definition{Kind: ast.Object, Name: name,
		Description: fmt.Sprintf("aggregated selection of %q", t.Name.Name),
		Fields: ast.FieldList{
			{Name: Aggregate, Type: named(t.TypeName(aggregateFieldsSuffix))},
			{Name: Nodes, Type: nonNullListOf(t.Type)},
		}}
}

// fitting are the columns that the role may read and the function takes.
func (s *Schema) fitting(t *model.Table, takes func(*model.Column) bool) []*model.Column {
	return slices.DeleteFunc(s.selected(t), func(c *model.Column) bool { return !takes(c) })
}

// aggregateFields is B_aggregate_fields.
func (s *Schema) aggregateFields(t *model.Table, name string) *ast.Definition {
	if !s.aggregates(t) {
		return nil
	}
	d := &ast.Definition{Kind: ast.Object, Name: name, Description: fmt.Sprintf("aggregate fields of %q", t.Name.Name),
		Fields: ast.FieldList{{Name: Count, Type: nonNull("Int"), Arguments: ast.ArgumentDefinitionList{
			{Name: Columns, Type: listOf(t.TypeName(selectColumnSuffix))},
			{Name: Distinct, Type: named("Boolean")},
		}}}}
	for _, f := range aggregateFunctions {
		if len(s.fitting(t, f.takes)) > 0 {
			d.Fields = append(d.Fields, &ast.FieldDefinition{Name: t.Naming.Field(f.name), Type: named(t.TypeName("_" + f.name + "_fields"))})
		}
	}
	sortFields(d.Fields)
	return d
}

// functionFields is B_avg_fields, B_max_fields and so on.
func (s *Schema) functionFields(t *model.Table, f aggregateFunction, name string) *ast.Definition {
	columns := s.fitting(t, f.takes)
	if !s.aggregates(t) || len(columns) == 0 {
		return nil
	}
	d := &ast.Definition{Kind: ast.Object, Name: name, Description: fmt.Sprintf("aggregate %s on columns", f.name)}
	for _, c := range columns {
		of := columnType(c)
		if f.float {
			of = named("Float")
		}
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: c.Name, Description: c.Comment, Type: of})
	}
	sortFields(d.Fields)
	return d
}

// aggregateOrderBy is B_aggregate_order_by.
func (s *Schema) aggregateOrderBy(t *model.Table, name string) *ast.Definition {
	if !s.aggregates(t) {
		return nil
	}
	d := &ast.Definition{Kind: ast.InputObject, Name: name, Description: fmt.Sprintf("order by aggregate values of table %q", t.Name.Name),
		Fields: ast.FieldList{{Name: Count, Type: named(t.Naming.Shared(OrderByEnum))}}}
	for _, f := range aggregateFunctions {
		if len(s.fitting(t, f.takes)) > 0 {
			d.Fields = append(d.Fields, &ast.FieldDefinition{Name: t.Naming.Field(f.name), Type: named(t.TypeName("_" + f.name + "_order_by"))})
		}
	}
	sortFields(d.Fields)
	return d
}

// functionOrderBy is B_avg_order_by, B_max_order_by and so on.
func (s *Schema) functionOrderBy(t *model.Table, f aggregateFunction, name string) *ast.Definition {
	columns := s.fitting(t, f.takes)
	if !s.aggregates(t) || len(columns) == 0 {
		return nil
	}
	return input(name, fmt.Sprintf("order by %s() on columns of table %q", f.name, t.Name.Name), columns,
		func(*model.Column) *ast.Type { return named(t.Naming.Shared(OrderByEnum)) })
}

// aggregateBoolExp is B_aggregate_bool_exp.
func (s *Schema) aggregateBoolExp(t *model.Table, name string) *ast.Definition {
	if !s.aggregates(t) {
		return nil
	}
	d := &ast.Definition{Kind: ast.InputObject, Name: name,
		Fields: ast.FieldList{{Name: Count, Type: named(t.TypeName(aggregateBoolExpSuffix + "_" + Count))}}}
	if len(s.fitting(t, boolean)) > 0 {
		for _, f := range boolFunctions {
			d.Fields = append(d.Fields, &ast.FieldDefinition{Name: t.Naming.Field(f), Type: named(t.TypeName(aggregateBoolExpSuffix + "_" + f))})
		}
	}
	sortFields(d.Fields)
	return d
}

func boolean(c *model.Column) bool { return c.Scalar == "Boolean" && !c.List() }

// countCondition is B_aggregate_bool_exp_count.
func (s *Schema) countCondition(t *model.Table, name string) *ast.Definition {
	if !s.aggregates(t) {
		return nil
	}
	return condition(t, name, listOf(t.TypeName(selectColumnSuffix)), "Int")
}

// boolCondition is B_aggregate_bool_exp_bool_and and its like.
func (s *Schema) boolCondition(t *model.Table, function, name string) *ast.Definition {
	if !s.aggregates(t) || len(s.fitting(t, boolean)) == 0 {
		return nil
	}
	return condition(t, name, nonNull(boolColumnsName(t, function)), "Boolean")
}

func condition(t *model.Table, name string, arguments *ast.Type, result string) *ast.Definition {
	return &ast.Definition{Kind: ast.InputObject, Name: name, Fields: ast.FieldList{
		{Name: Arguments, Type: arguments},
		{Name: Distinct, Type: named("Boolean")},
		{Name: Filter, Type: named(t.TypeName(boolExpSuffix))},
		{Name: Predicate, Type: nonNull(t.Naming.Shared(result + comparisonSuffix))},
	}}
}

// boolColumnsName is the enum of the Boolean columns of a table, whose name has
// the table's twice.
func boolColumnsName(t *model.Table, function string) string {
	return t.TypeName(selectColumnSuffix + between(t.Naming) + t.Base + aggregateBoolExpSuffix + "_" + function + argumentsColumns)
}

func between(n *model.Naming) string {
	if n.Camel {
		return ""
	}
	return "_"
}

// boolColumns is the enum of a table's Boolean columns.
func (s *Schema) boolColumns(n *model.Naming, inner, name string) *ast.Definition {
	for _, f := range boolFunctions {
		rest, ok := strings.CutSuffix(inner, n.TypePart(aggregateBoolExpSuffix+"_"+f+argumentsColumns))
		middle := n.TypePart(selectColumnSuffix) + between(n)
		if !ok || len(rest) <= len(middle) {
			continue
		}
		t := s.model.RowType(n.TypeOf(rest[:(len(rest)-len(middle))/2]))
		if t == nil || t.Naming != n || boolColumnsName(t, f) != name || !s.aggregates(t) {
			continue
		}
		if columns := s.fitting(t, boolean); len(columns) > 0 {
			return enum(name, fmt.Sprintf("select %q columns of table %q", f, t.Name.Name), columnNames(columns))
		}
	}
	return nil
}

// relationshipAggregate is the field of an array relationship's aggregate; nil
// if the role can't aggregate the target.
func (s *Schema) relationshipAggregate(r *model.Relationship) *ast.FieldDefinition {
	if !r.Array || !s.aggregates(r.Target) {
		return nil
	}
	return &ast.FieldDefinition{Name: r.AggregateName, Description: "An aggregate relationship",
		Type: nonNull(r.Target.TypeName(aggregateSuffix)), Arguments: selectArguments(r.Target)}
}

// AggregateFunction is the function that a field of B_aggregate_fields, as its
// source writes it, stands for.
func AggregateFunction(n *model.Naming, field string) (string, bool) {
	for _, f := range aggregateFunctions {
		if n.Field(f.name) == field {
			return f.name, true
		}
	}
	return "", false
}
