package model

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenantry/api/session"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
)

// NativeQuery is a root field whose rows come from SQL text of the tenant.
type NativeQuery struct {
	Source string
	// Field is the root field.
	Field RootField
	// Target is what its rows are: that of a logical model.
	Target *Table
	// Code is the text, without what ends a statement, in parts.
	Code []CodePart
	// Arguments that a client gives, by name, and the type that holds them, which
	// is empty when there are none.
	Arguments []CallArgument
	Input     string
	Metadata  *metadata.NativeQuery
	Pointer   string
}

// CodePart is a piece of SQL text, or a place for a value: exactly one is set.
type CodePart struct {
	Text string
	// Argument is the name of an argument.
	Argument string
	// Session is the name of a session variable, in lower case.
	Session string
}

// Argument finds an argument.
func (q *NativeQuery) Argument(name string) (CallArgument, bool) {
	for _, a := range q.Arguments {
		if a.Name == name {
			return a, true
		}
	}
	return CallArgument{}, false
}

// Required reports whether some argument has to be given.
func (q *NativeQuery) Required() bool {
	return slices.ContainsFunc(q.Arguments, func(a CallArgument) bool { return !a.Nullable })
}

// NativeRelationship joins the rows of a logical model to those of a native
// query.
type NativeRelationship struct {
	Name    string
	Array   bool
	Query   *NativeQuery
	Mapping []Pair
}

// NativeRelationship finds a relationship to a native query.
func (t *Table) NativeRelationship(name string) (*NativeRelationship, bool) {
	for _, r := range t.Natives {
		if r.Name == name {
			return r, true
		}
	}
	return nil, false
}

// nativeQueries resolves the native queries, then their relationships; what has
// any mistake is left out.
func (r *resolver) nativeQueries() {
	for i := range r.model.Metadata.Sources {
		source := &r.model.Metadata.Sources[i]
		if r.namings[source.Name] == nil {
			continue
		}
		for j := range source.NativeQueries {
			q := &NativeQuery{Source: source.Name, Metadata: &source.NativeQueries[j],
				Pointer: fmt.Sprintf("$.sources[%d].native_queries[%d]", i, j)}
			if reason := r.nativeQuery(q); reason != "" {
				r.report(q.Inconsistency(reason))
				continue
			}
			r.model.NativeQueries = append(r.model.NativeQueries, q)
		}
	}
	slices.SortFunc(r.model.NativeQueries, func(a, b *NativeQuery) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Metadata.RootField, b.Metadata.RootField))
	})
	for _, q := range r.model.NativeQueries {
		r.nativeRelationships(q)
	}
}

func (q *NativeQuery) owner() string {
	return fmt.Sprintf("native_query %s in source %s", q.Metadata.RootField, q.Source)
}

// Inconsistency is the query as one that does not resolve.
func (q *NativeQuery) Inconsistency(reason string) Inconsistency {
	return Inconsistency{Type: "native_query", Name: q.owner(), Definition: q.Metadata, Pointer: q.Pointer,
		Reason: fmt.Sprintf("%sin native query %q: %s", reasonPrefix, q.Metadata.RootField, reason)}
}

func (r *resolver) nativeQuery(q *NativeQuery) string {
	doc, naming := q.Metadata, r.namings[q.Source]
	target, ok := r.model.LogicalModel(q.Source, doc.Returns)
	if !ok {
		return fmt.Sprintf("the logical model %q does not exist", doc.Returns)
	}
	q.Target = target.Rows
	if !usableName(doc.RootField) {
		return fmt.Sprintf("%q is not a valid GraphQL name", doc.RootField)
	}
	q.Field = RootField{Name: naming.root(doc.RootField), Comment: doc.Description}
	for _, name := range slices.Sorted(maps.Keys(doc.Arguments)) {
		a := doc.Arguments[name]
		column, ok := typedColumn(r.model.Catalogs[q.Source], name, a.Type, a.Nullable)
		switch {
		case !ok:
			return fmt.Sprintf("the type %q of the argument %q is not known", a.Type, name)
		case !usableName(name):
			return fmt.Sprintf("the argument name %q is not a valid GraphQL name", name)
		}
		column.Comment = a.Description
		r.renameScalar(column)
		q.Arguments = append(q.Arguments, CallArgument{From: Given, Column: column})
	}
	if q.Code, ok = parseCode(doc.Code); !ok {
		return "a placeholder of the code is not closed: expected {{argument}}"
	}
	for _, part := range q.Code {
		if _, declared := q.Argument(part.Argument); part.Argument != "" && !declared {
			return fmt.Sprintf("the code has a placeholder {{%s}}, but there is no argument of that name", part.Argument)
		}
	}
	return r.claimNative(q, naming)
}

func (r *resolver) claimNative(q *NativeQuery, naming *Naming) string {
	names := []string{q.Field.Name}
	claimed := map[string][]string{naming.Root(QueryRoot): names, naming.Root(SubscriptionRoot): names}
	if err := r.names.claimRoots(q.owner(), claimed); err != nil {
		return err.Error()
	}
	if len(q.Arguments) == 0 {
		return ""
	}
	q.Input = naming.typeName(q.Metadata.RootField + naming.TypePart("_arguments"))
	if err := r.names.claimTypes(q.owner(), []string{q.Input}); err != nil {
		r.names.releaseRoots(q.owner(), claimed)
		return err.Error()
	}
	return ""
}

// parseCode takes SQL text apart at its {{placeholders}}.
func parseCode(code string) ([]CodePart, bool) {
	code = strings.TrimRight(strings.TrimSpace(code), "; \t\r\n")
	var parts []CodePart
	for {
		text, rest, found := strings.Cut(code, "{{")
		if text != "" {
			parts = append(parts, CodePart{Text: text})
		}
		if !found {
			return parts, true
		}
		name, after, closed := strings.Cut(rest, "}}")
		if name = strings.TrimSpace(name); !closed || name == "" {
			return nil, false
		}
		part := CodePart{Argument: name}
		if variable, ok := strings.CutPrefix(name, "session."); ok && session.IsVariable(variable) {
			part = CodePart{Session: strings.ToLower(variable)}
		}
		parts = append(parts, part)
		code = after
	}
}

// nativeRelationships adds a query's relationships to the model that it returns,
// which other queries may return too.
func (r *resolver) nativeRelationships(q *NativeQuery) {
	for _, list := range []struct {
		kind  string
		array bool
		of    []metadata.NativeQueryRelationship
	}{{"object_relation", false, q.Metadata.ObjectRelationships}, {"array_relation", true, q.Metadata.ArrayRelationships}} {
		for i := range list.of {
			doc := &list.of[i]
			if reason := r.nativeRelationship(q, doc, list.array); reason != "" {
				r.report(Inconsistency{
					Type: list.kind, Name: fmt.Sprintf("%s %s in %s", list.kind, doc.Name, q.owner()), Definition: doc, Pointer: q.Pointer,
					Reason: fmt.Sprintf("%sin native query %q: in relationship %q: %s", reasonPrefix, q.Metadata.RootField, doc.Name, reason),
				})
			}
		}
	}
	slices.SortFunc(q.Target.Relationships, func(a, b *Relationship) int { return cmp.Compare(a.Name, b.Name) })
}

func (r *resolver) nativeRelationship(q *NativeQuery, doc *metadata.NativeQueryRelationship, array bool) string {
	t := q.Target
	if !usableName(doc.Name) {
		return fmt.Sprintf("%q is not a valid GraphQL name", doc.Name)
	}
	remote, target, reason := r.nativeTarget(q, doc.Using)
	if reason != "" {
		return reason
	}
	mapping, reason := mapColumns(t, target, doc.Using.ColumnMapping)
	if reason != "" {
		return reason
	}
	if other, taken := t.NativeRelationship(doc.Name); taken {
		if other.Query == remote && other.Array == array && slices.Equal(other.Mapping, mapping) {
			return "" // another query returns the same model with the same relationship
		}
		return "the logical model has another relationship of this name"
	}
	if other, taken := t.relationships[doc.Name]; taken && remote == nil && other.Target == target && other.Array == array && slices.Equal(other.Mapping, mapping) {
		return ""
	}
	if err := t.free(doc.Name, array); err != nil {
		return err.Error()
	}
	if t.Logical != nil {
		if _, taken := t.Logical.Member(doc.Name); taken {
			return "the logical model has a field of this name"
		}
	}
	if remote != nil {
		t.Natives = append(t.Natives, &NativeRelationship{Name: doc.Name, Array: array, Query: remote, Mapping: mapping})
		return ""
	}
	found := &Relationship{Name: doc.Name, Array: array, Target: target, Mapping: mapping, Nullable: true}
	if array {
		found.AggregateName = t.Naming.aggregateOf(doc.Name)
		t.aggregates[found.AggregateName] = found
	}
	t.Relationships = append(t.Relationships, found)
	t.relationships[doc.Name] = found
	return ""
}

// nativeTarget finds the query or table that a relationship leads to.
func (r *resolver) nativeTarget(q *NativeQuery, using metadata.NativeQueryUsing) (*NativeQuery, *Table, string) {
	if name := using.RemoteTable; name != nil {
		target, ok := r.model.Table(q.Source, catalog.Name{Schema: name.Schema, Name: name.Name})
		if !ok {
			return nil, nil, fmt.Sprintf("the table %q is not tracked", name)
		}
		return nil, target, ""
	}
	for _, other := range r.model.NativeQueries {
		if other.Source == q.Source && other.Metadata.RootField == using.RemoteNativeQuery {
			return other, other.Target, ""
		}
	}
	return nil, nil, fmt.Sprintf("the native query %q does not exist", using.RemoteNativeQuery)
}

func mapColumns(t, target *Table, mapping map[string]string) ([]Pair, string) {
	if len(mapping) == 0 {
		return nil, "column_mapping is empty"
	}
	var out []Pair
	for _, local := range slices.Sorted(maps.Keys(mapping)) {
		if _, ok := t.stored[local]; !ok {
			return nil, fmt.Sprintf("the logical model %q has no field %q", t.Name.Name, local)
		}
		if _, ok := target.stored[mapping[local]]; !ok {
			return nil, fmt.Sprintf("%q has no column %q", target.Name.Name, mapping[local])
		}
		out = append(out, Pair{Local: local, Remote: mapping[local]})
	}
	return out, ""
}
