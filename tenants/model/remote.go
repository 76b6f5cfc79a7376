package model

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
)

// RemoteRelationship joins a table to one of another source, or of its own, by
// values: no statement can read both. So it is no part of conditions and orders.
type RemoteRelationship struct {
	Name  string
	Array bool
	// AggregateName is the field for aggregates of an array relationship.
	AggregateName string
	Target        *Table
	// Mapping is pairwise: a column of the owner, a column of the target.
	Mapping []Pair
	// Types are those that the values of Mapping travel as, pairwise.
	Types []catalog.TypeRef
}

// Remote finds a relationship to another source by its name, or by that of its
// aggregate: then the second result is true.
func (t *Table) Remote(field string) (r *RemoteRelationship, aggregate, ok bool) {
	for _, r := range t.Remotes {
		if r.Name == field {
			return r, false, true
		}
		if r.Array && r.AggregateName == field {
			return r, true, true
		}
	}
	return nil, false, false
}

// remoteRelationships resolves those of a table; one with any mistake is left
// out.
func (r *resolver) remoteRelationships(t *Table) {
	for i := range t.Metadata.RemoteRelationships {
		doc := &t.Metadata.RemoteRelationships[i]
		found, err := r.remoteRelationship(t, doc)
		if err != nil {
			r.report(t.remoteInconsistency(doc, i, err))
			continue
		}
		t.Remotes = append(t.Remotes, found)
	}
	slices.SortFunc(t.Remotes, func(a, b *RemoteRelationship) int { return cmp.Compare(a.Name, b.Name) })
}

// errRemoteSchema says that a relationship leads to a remote schema.
var errRemoteSchema = errors.New("it leads to a remote schema")

func (t *Table) remoteInconsistency(doc *metadata.RemoteRelationship, index int, err error) Inconsistency {
	reason := fmt.Sprintf("%sin table %q: in remote relationship %q: %s", reasonPrefix, ShortName(t.Name), doc.Name, err)
	if errors.Is(err, errRemoteSchema) {
		reason = NotSupported("relationships to remote schemas")
	}
	return Inconsistency{
		Type: "remote_relationship",
		Name: fmt.Sprintf("remote_relationship %s in %s", doc.Name, t.owner()),
		Definition: map[string]any{
			"name": doc.Name, "source": t.Source, "table": t.Metadata.Table, "definition": doc.Definition,
		},
		Reason:  reason,
		Pointer: fmt.Sprintf("%s.remote_relationships[%d]", t.Pointer, index),
	}
}

func (r *resolver) remoteRelationship(t *Table, doc *metadata.RemoteRelationship) (*RemoteRelationship, error) {
	to := doc.Definition.ToSource
	if to == nil {
		return nil, errRemoteSchema
	}
	found := &RemoteRelationship{Name: doc.Name, Array: to.RelationshipType == "array"}
	if found.Array {
		found.AggregateName = t.Naming.aggregateOf(doc.Name)
	}
	if err := t.remoteFree(found); err != nil {
		return nil, err
	}
	if r.namings[to.Source] == nil {
		if slices.ContainsFunc(r.model.Metadata.Sources, func(s metadata.Source) bool { return s.Name == to.Source }) {
			return nil, fmt.Errorf("source %q is inconsistent", to.Source)
		}
		return nil, fmt.Errorf("source %q does not exist", to.Source)
	}
	var err error
	if found.Target, err = r.target(to.Source, to.Table); err != nil {
		return nil, err
	}
	if len(to.FieldMapping) == 0 {
		return nil, fmt.Errorf("field_mapping is empty")
	}
	for _, local := range slices.Sorted(maps.Keys(to.FieldMapping)) {
		remote := to.FieldMapping[local]
		as, err := joinable(t, found.Target, local, remote)
		if err != nil {
			return nil, err
		}
		found.Types = append(found.Types, as)
		found.Mapping = append(found.Mapping, Pair{Local: local, Remote: remote})
	}
	return found, nil
}

// remoteFree checks that a remote relationship takes no name that another field
// has.
func (t *Table) remoteFree(found *RemoteRelationship) error {
	if !usableName(found.Name) {
		return fmt.Errorf("%q is not a valid GraphQL name", found.Name)
	}
	if err := t.free(found.Name, found.Array); err != nil {
		return err
	}
	for _, name := range []string{found.Name, found.AggregateName} {
		if _, taken := t.Computed(name); taken {
			return fmt.Errorf("the table has a computed field %q", name)
		}
		if _, _, taken := t.Remote(name); taken {
			return fmt.Errorf("the table has another remote relationship with the field %q", name)
		}
	}
	return nil
}

// joinable checks that both columns exist and can be compared; the type is that
// in which values of the one go to the other.
func joinable(t, target *Table, local, remote string) (as catalog.TypeRef, err error) {
	own, ok := t.stored[local]
	if !ok {
		return as, fmt.Errorf("column %q of field_mapping does not exist in table %q", local, ShortName(t.Name))
	}
	other, ok := target.stored[remote]
	if !ok {
		return as, fmt.Errorf("column %q of field_mapping does not exist in table %q of source %q", remote, ShortName(target.Name), target.Source)
	}
	if as, ok = sharedType(own, other); !ok {
		return as, fmt.Errorf("column %q of table %q is of type %q, which can't be compared with column %q of table %q of source %q, of type %q",
			local, ShortName(t.Name), own.Base.Name, remote, ShortName(target.Name), target.Source, other.Base.Name)
	}
	return as, nil
}

var integers = map[catalog.TypeRef]bool{
	{Schema: "pg_catalog", Name: "int2"}: true, {Schema: "pg_catalog", Name: "int4"}: true, {Schema: "pg_catalog", Name: "int8"}: true,
}

// sharedType is the type in which values of one column are compared with another
// column; false unless it can hold all of them, for one that it can't hold would
// fail the whole request.
func sharedType(own, other *Column) (catalog.TypeRef, bool) {
	from, to := own.Base, other.Base
	switch {
	case from.Array() || to.Array(), to.Name == "json" || to.Name == "xml": // nothing equals those
		return to, false
	case integers[from] && integers[to]:
		return from, true // compared with the other as it is, even if that is narrower
	case from == to, other.Category == "S" && (own.Category == "S" || own.Category == "E" || integers[from] || from.Name == "uuid"):
		return to, true
	}
	return to, integers[from] && to.Schema == "pg_catalog" && (to.Name == "numeric" || to.Name == "float8")
}
