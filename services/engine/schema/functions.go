package schema

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/tenants/model"
)

// The kinds of root fields that are no table's.
const (
	FunctionRows      Kind = "function"
	FunctionAggregate Kind = "function_aggregate"
	NativeRows        Kind = "native_query"
)

// Args is the argument that holds those of a function or native query.
const Args = "args"

// otherRoots calls yield for every root field of functions and native queries
// that the role sees under a namespace, until it says false.
func (s *Schema) otherRoots(op ast.Operation, namespace string, yieldShown func(name string, f RootField) bool) {
	yield := func(name string, f RootField) bool {
		name, f, shown := s.relayOther(name, f)
		return !shown || yieldShown(name, f)
	}
	for _, f := range s.model.Functions {
		if f.Target.Naming.Namespace != namespace || f.Mutation != (op == ast.Mutation) || op == ast.Subscription || !s.callable(f) {
			continue
		}
		if !yield(f.Field.Name, RootField{Kind: FunctionRows, Function: f}) {
			return
		}
		if f.Set && s.aggregates(f.Target) && !yield(f.Aggregate.Name, RootField{Kind: FunctionAggregate, Function: f}) {
			return
		}
	}
	if op != ast.Query {
		return
	}
	for _, q := range s.model.NativeQueries {
		if q.Target.Naming.Namespace == namespace && s.selectable(q.Target) && !yield(q.Field.Name, RootField{Kind: NativeRows, Native: q}) {
			return
		}
	}
}

// callable reports whether the role has a function's fields.
func (s *Schema) callable(f *model.Function) bool {
	if !s.selectable(f.Target) {
		return false
	}
	return s.role.Function(f) || s.options.InferFunctions && f.Infer
}

func (s *Schema) findOther(op ast.Operation, name, namespace string) (found RootField, ok bool) {
	s.otherRoots(op, namespace, func(other string, f RootField) bool {
		if other == name {
			found, ok = f, true
		}
		return !ok
	})
	return found, ok
}

func (s *Schema) anyOther(op ast.Operation, namespace string) (any bool) {
	s.otherRoots(op, namespace, func(string, RootField) bool { any = true; return false })
	return any
}

func (s *Schema) otherFields(op ast.Operation, namespace string) ast.FieldList {
	var fields ast.FieldList
	s.otherRoots(op, namespace, func(_ string, f RootField) bool {
		fields = append(fields, otherField(f))
		return true
	})
	return fields
}

// otherField is the definition of a root field that is no table's.
func otherField(f RootField) *ast.FieldDefinition {
	if f.Kind == FunctionConnection {
		return connectionOfFunction(f.Function)
	}
	if q := f.Native; q != nil {
		return &ast.FieldDefinition{Name: q.Field.Name, Description: q.Field.Comment, Type: nonNullListOf(q.Target.Type), Arguments: nativeArguments(q)}
	}
	d := &ast.FieldDefinition{Name: f.Function.Field.Name, Description: f.Function.Field.Comment}
	t := f.Function.Target
	switch {
	case f.Kind == FunctionAggregate:
		d.Name, d.Description = f.Function.Aggregate.Name, f.Function.Aggregate.Comment
		d.Type = nonNull(t.TypeName(aggregateSuffix))
	case f.Function.Set:
		d.Type = nonNullListOf(t.Type)
	default:
		d.Type = named(t.Type)
	}
	d.Arguments = callArguments(&f.Function.Callable)
	if f.Function.Set {
		d.Arguments = sortArguments(append(d.Arguments, selectArguments(t)...))
	}
	return d
}

// callArguments is the argument args of a function's field, if it takes any.
func callArguments(c *model.Callable) ast.ArgumentDefinitionList {
	if c.Input == "" {
		return nil
	}
	of := named(c.Input)
	of.NonNull = c.Required()
	return ast.ArgumentDefinitionList{{Name: Args, Description: "input parameters for function \"" + model.ShortName(c.Name) + "\"", Type: of}}
}

func nativeArguments(q *model.NativeQuery) ast.ArgumentDefinitionList {
	args := selectArguments(q.Target)
	if q.Input == "" {
		return args
	}
	of := named(q.Input)
	of.NonNull = q.Required()
	return sortArguments(append(args, &ast.ArgumentDefinition{Name: Args, Description: q.Metadata.RootField + " arguments", Type: of}))
}

// callInput is the input type for the arguments of a function, computed field or
// native query. A function takes null for any of its arguments, so all of them
// are nullable; the planner refuses to leave one out that has no default.
func (s *Schema) callInput(name string) *ast.Definition {
	for _, f := range s.model.Functions {
		if f.Input == name && s.callable(f) {
			return callDefinition(&f.Callable)
		}
	}
	for _, q := range s.model.NativeQueries {
		if q.Input == name && s.selectable(q.Target) {
			d := &ast.Definition{Kind: ast.InputObject, Name: name, Description: q.Metadata.RootField + " arguments"}
			for _, a := range q.Arguments {
				of := columnType(a.Column)
				of.NonNull = !a.Nullable
				d.Fields = append(d.Fields, &ast.FieldDefinition{Name: a.Name, Description: a.Comment, Type: of})
			}
			return d
		}
	}
	for _, t := range s.model.RowTypes() {
		for _, f := range t.ComputedFields {
			if f.Input == name && s.seesComputed(t, f) {
				return callDefinition(&f.Callable)
			}
		}
	}
	return nil
}

func callDefinition(c *model.Callable) *ast.Definition {
	d := &ast.Definition{Kind: ast.InputObject, Name: c.Input}
	for _, a := range c.Given() {
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: a.Name, Type: columnType(a.Column)})
	}
	sortFields(d.Fields)
	return d
}

// seesComputed reports whether the role has a computed field: a scalar that was
// granted, or rows that it may read.
func (s *Schema) seesComputed(t *model.Table, f *model.ComputedField) bool {
	if f.Value == nil {
		return s.selectable(f.Target)
	}
	p := s.role.Table(t).Select
	return p != nil && p.Columns.Has(f.Value)
}

// computes reports whether the role has a scalar computed field that needs no
// arguments: it makes an object type as a column does.
func (s *Schema) computes(t *model.Table) bool {
	return slices.ContainsFunc(t.ComputedFields, func(f *model.ComputedField) bool {
		return f.Value != nil && f.Plain() && s.seesComputed(t, f)
	})
}

// computedValues are the scalar computed fields that can be compared and sorted by.
func (s *Schema) computedValues(t *model.Table) []*model.Column {
	var out []*model.Column
	for _, f := range t.ComputedFields {
		if f.Value != nil && f.Plain() && s.seesComputed(t, f) {
			out = append(out, f.Value)
		}
	}
	return out
}

// computedRows are the computed fields of rows that can be conditions.
func (s *Schema) computedRows(t *model.Table) []*model.ComputedField {
	var out []*model.ComputedField
	for _, f := range t.ComputedFields {
		if f.Value == nil && f.Plain() && s.seesComputed(t, f) {
			out = append(out, f)
		}
	}
	return out
}

// derivedFields are the fields of an object type that are neither columns nor
// relationships between tables.
func (s *Schema) derivedFields(t *model.Table) ast.FieldList {
	var fields ast.FieldList
	for _, f := range t.ComputedFields {
		if !s.seesComputed(t, f) {
			continue
		}
		d := &ast.FieldDefinition{Name: f.Field, Description: f.Comment, Arguments: callArguments(&f.Callable)}
		if f.Value != nil {
			d.Type, d.Arguments = columnType(f.Value), append(d.Arguments, pathArgument(f.Value)...)
		} else {
			d.Type = listOf(f.Target.Type)
			d.Arguments = sortArguments(append(d.Arguments, selectArguments(f.Target)...))
		}
		fields = append(fields, d)
	}
	for _, r := range t.Natives {
		if !s.selectable(r.Query.Target) {
			continue
		}
		d := &ast.FieldDefinition{Name: r.Name, Description: "An object relationship", Type: named(r.Query.Target.Type)}
		if r.Array {
			d.Description, d.Type = "An array relationship", nonNullListOf(r.Query.Target.Type)
		}
		d.Arguments = nativeArguments(r.Query)
		if !r.Array {
			d.Arguments = slices.DeleteFunc(d.Arguments, func(a *ast.ArgumentDefinition) bool { return a.Name != Args })
		}
		fields = append(fields, d)
	}
	return append(fields, s.modelMembers(t)...)
}

// modelMembers are the fields of a logical model that hold other ones.
func (s *Schema) modelMembers(t *model.Table) ast.FieldList {
	if t.Logical == nil {
		return nil
	}
	var fields ast.FieldList
	for _, m := range t.Logical.Members {
		if !s.selectable(m.Target) || !s.role.Table(t).Select.Columns[m.Name] {
			continue
		}
		of := named(m.Target.Type)
		if m.Array {
			of = listOf(m.Target.Type)
		}
		fields = append(fields, &ast.FieldDefinition{Name: m.Name, Description: m.Comment, Type: of})
	}
	return fields
}

// ownScalar finds a scalar that a computed field, an argument or a logical model
// has, by how a source writes it.
func (s *Schema) ownScalar(list bool, is func(n *model.Naming, c *model.Column) bool) (string, bool) {
	for _, f := range s.model.Functions {
		for _, a := range f.Given() {
			if a.List() == list && is(f.Target.Naming, a.Column) && s.callable(f) {
				return a.Scalar, true
			}
		}
	}
	for _, q := range s.model.NativeQueries {
		for _, a := range q.Arguments {
			if a.List() == list && is(q.Target.Naming, a.Column) && s.selectable(q.Target) {
				return a.Scalar, true
			}
		}
	}
	for _, t := range s.model.RowTypes() {
		for _, f := range t.ComputedFields {
			if f.Value != nil && f.Value.List() == list && is(t.Naming, f.Value) && s.seesComputed(t, f) {
				return f.Value.Scalar, true
			}
			for _, a := range f.Given() {
				if a.List() == list && is(t.Naming, a.Column) && s.seesComputed(t, f) {
					return a.Scalar, true
				}
			}
		}
		if t.Logical == nil {
			continue
		}
		for _, c := range s.selected(t) {
			if c.List() == list && is(t.Naming, c) {
				return c.Scalar, true
			}
		}
	}
	return "", false
}
