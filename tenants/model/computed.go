package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
)

// ComputedField is a field of a table whose value is that of a function of the
// row: a scalar, or rows of a table.
type ComputedField struct {
	Callable
	// Field is the name in GraphQL.
	Field   string
	Comment string
	// Value is the scalar that it returns, like a column that is read only; nil
	// when it returns rows. Its stored name can be no column's.
	Value *Column
	// Target is the table whose rows it returns; nil for a scalar.
	Target   *Table
	Metadata *metadata.ComputedField
}

// computedPrefix begins the stored names of computed fields. No name of Postgres
// has the character NUL.
const computedPrefix = "\x00"

// Computed finds a computed field by its name.
func (t *Table) Computed(name string) (*ComputedField, bool) {
	for _, f := range t.ComputedFields {
		if f.Field == name {
			return f, true
		}
	}
	return nil, false
}

// Plain reports whether the field needs nothing but the row and the session:
// then it can be part of conditions and orders.
func (f *ComputedField) Plain() bool { return len(f.Given()) == 0 }

// computedFields resolves a table's computed fields; one with any mistake is
// left out.
func (r *resolver) computedFields(t *Table) {
	for i := range t.Metadata.ComputedFields {
		doc := &t.Metadata.ComputedFields[i]
		found, reason := r.computedField(t, doc)
		if reason != "" {
			r.report(t.computedInconsistency(doc, fmt.Sprintf("%s.computed_fields[%d]", t.Pointer, i), reason))
			continue
		}
		t.ComputedFields = append(t.ComputedFields, found)
	}
	slices.SortFunc(t.ComputedFields, func(a, b *ComputedField) int { return cmp.Compare(a.Field, b.Field) })
}

func (t *Table) computedInconsistency(doc *metadata.ComputedField, pointer, reason string) Inconsistency {
	return Inconsistency{
		Type: "computed_field",
		Name: fmt.Sprintf("computed_field %s in %s", doc.Name, t.owner()),
		Definition: map[string]any{
			"name": doc.Name, "source": t.Source, "comment": doc.Comment, "definition": doc.Definition, "table": t.Metadata.Table,
		},
		Reason: reasonPrefix + reason, Pointer: pointer,
	}
}

// computedField resolves one; the reason says what is wrong.
func (r *resolver) computedField(t *Table, doc *metadata.ComputedField) (*ComputedField, string) {
	in := fmt.Sprintf("in table %q: in computed field %q: ", ShortName(t.Name), doc.Name)
	if reason := t.conflict(doc.Name); reason != "" {
		return nil, reason
	}
	c := r.model.Catalogs[t.Source]
	name := catalog.Name{Schema: doc.Definition.Function.Schema, Name: doc.Definition.Function.Name}
	stored, err := onlyOverload(c, name)
	if err != nil {
		return nil, in + err.Error()
	}
	found := &ComputedField{Field: doc.Name, Metadata: doc}
	reasons := r.computedResult(t, found, stored)
	callable, wrong := r.callable(t.Source, stored, callRule{table: t, row: doc.Definition.TableArgument, session: doc.Definition.SessionArgument})
	reasons = append(reasons, wrong...)
	if len(stored.Arguments) == 0 {
		reasons = []string{fmt.Sprintf("the function %q has no input arguments", ShortName(name))}
	}
	refused := in + fmt.Sprintf("the computed field %q cannot be added to table %q ", doc.Name, ShortName(t.Name))
	switch len(reasons) {
	case 0:
	case 1:
		return nil, refused + "because " + reasons[0]
	default:
		return nil, refused + "for the following reasons:\n  • " + strings.Join(reasons, "\n  • ") + "\n"
	}
	found.Callable = callable
	found.Comment = computedComment(doc, stored)
	if found.Value != nil {
		found.Value.Comment = found.Comment
	}
	if !found.Plain() {
		found.Input = t.Naming.typeName(doc.Name + t.Naming.TypePart("_"+t.Base+"_args"))
		if err := r.names.claimTypes("the computed field "+doc.Name, []string{found.Input}); err != nil {
			return nil, in + err.Error()
		}
	}
	return found, ""
}

// conflict says which field of the table has the name already.
func (t *Table) conflict(name string) string {
	if !usableName(name) {
		return fmt.Sprintf("in table %q: in computed field %q: %q is not a valid GraphQL name", ShortName(t.Name), name, name)
	}
	if _, taken := t.columns[name]; taken {
		return "field definition conflicts with postgres column"
	}
	if _, taken := t.relationships[name]; taken {
		return "field definition conflicts with custom field for postgres table"
	}
	if _, taken := t.aggregates[name]; taken {
		return "field definition conflicts with custom field for postgres table"
	}
	if _, taken := t.Computed(name); taken {
		return "field definition conflicts with custom field for postgres table"
	}
	return ""
}

// computedResult finds out what a function's result is as a field.
func (r *resolver) computedResult(t *Table, found *ComputedField, stored *catalog.Function) []string {
	var reasons []string
	function := fmt.Sprintf("the function %q", ShortName(stored.Name))
	c := r.model.Catalogs[t.Source]
	returned := catalog.Name{Schema: stored.Returns.Schema, Name: stored.Returns.Name}
	composite := c.Types[returned.String()].Kind == catalog.CompositeType && !stored.Returns.Array()
	switch {
	case stored.Set && composite:
		target, ok := r.model.Table(t.Source, returned)
		if !ok {
			reasons = append(reasons, fmt.Sprintf("%s returning set of table %q is not tracked or not found in database", function, ShortName(returned)))
		}
		found.Target = target
	case stored.Set || composite || stored.Outputs || stored.Returns.Name == "record" || stored.Returns.Name == "void":
		reasons = append(reasons, fmt.Sprintf("%s returning type %q is not a BASE type", function, stored.Returns.Name))
	default:
		found.Value = resolveColumn(c, &catalog.Column{Name: computedPrefix + found.Field, Type: stored.Returns, Nullable: true})
		found.Value.Name = found.Field
		r.renameScalar(found.Value)
	}
	if stored.Volatility == catalog.Volatile {
		reasons = append(reasons, function+" is of type VOLATILE; cannot be added as a computed field")
	}
	if stored.Variadic {
		reasons = append(reasons, function+" has a VARIADIC argument, which is not supported")
	}
	return reasons
}

// computedComment is the tenant's comment, nothing if that is explicitly empty,
// else what the engine says of the field, after the database's comment.
func computedComment(doc *metadata.ComputedField, stored *catalog.Function) string {
	if doc.Comment != nil {
		return *doc.Comment
	}
	text := fmt.Sprintf("A computed field, executes function %q", ShortName(stored.Name))
	if stored.Comment != "" {
		return stored.Comment + "\n\n" + text
	}
	return text
}
