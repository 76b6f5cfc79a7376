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

// relationships resolves a table's relationships to tracked tables.
func (r *resolver) relationships(t *Table) {
	t.relationships = map[string]*Relationship{}
	t.aggregates = map[string]*Relationship{}
	for _, list := range []struct {
		kind, key string
		array     bool
		of        []metadata.Relationship
	}{
		{"object_relation", "object_relationships", false, t.Metadata.ObjectRelationships},
		{"array_relation", "array_relationships", true, t.Metadata.ArrayRelationships},
	} {
		for i := range list.of {
			doc := &list.of[i]
			found, err := r.relationship(t, doc, list.array)
			if err != nil {
				refused := relationshipInconsistency(t, doc, list.kind, fmt.Sprintf("%s.%s[%d]", t.Pointer, list.key, i), err.Error())
				var conflict columnConflict
				var without leftOut
				if errors.As(err, &conflict) || errors.As(err, &without) {
					refused.Reason = reasonPrefix + err.Error()
				}
				r.report(refused)
				continue
			}
			t.relationships[found.Name] = found
			if found.Array {
				t.aggregates[found.AggregateName] = found
			}
			t.Relationships = append(t.Relationships, found)
		}
	}
	slices.SortFunc(t.Relationships, func(a, b *Relationship) int { return cmp.Compare(a.Name, b.Name) })
}

func (r *resolver) relationship(t *Table, doc *metadata.Relationship, array bool) (*Relationship, error) {
	if !usableName(doc.Name) {
		return nil, fmt.Errorf("%q is not a valid GraphQL name", doc.Name)
	}
	if err := t.free(doc.Name, array); err != nil {
		return nil, err
	}
	found := &Relationship{Name: doc.Name, Comment: doc.Comment, Array: array, Nullable: true, Using: doc.Using}
	if array {
		found.AggregateName = t.Naming.aggregateOf(doc.Name)
	}
	var err error
	switch using := doc.Using; {
	case using.Manual != nil:
		err = r.manual(t, found, using.Manual)
	case using.ForeignKey == nil:
		err = fmt.Errorf("expected foreign_key_constraint_on or manual_configuration")
	case using.ForeignKey.Table != nil:
		err = r.foreignKeyOfOther(t, found, using.ForeignKey)
	case array:
		err = fmt.Errorf("an array relationship's foreign_key_constraint_on names another table and its columns")
	default:
		err = r.ownForeignKey(t, found, using.ForeignKey)
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}

// columnConflict says that a field has the name of a column.
type columnConflict struct{ with *Column }

func (c columnConflict) Error() string {
	if c.with.Name != c.with.StoredName() {
		return fmt.Sprintf("field definition conflicts with custom field name for postgres column %q", c.with.StoredName())
	}
	return "field definition conflicts with postgres column"
}

// leftOut says that a relationship leads to a table of the database that is
// tracked, but is left out.
type leftOut struct{ table catalog.Name }

func (l leftOut) Error() string { return fmt.Sprintf("table %q is not tracked", ShortName(l.table)) }

// free checks that no field of the table has the name yet.
func (t *Table) free(name string, array bool) error {
	fields := []string{name}
	if array {
		fields = append(fields, t.Naming.aggregateOf(name))
	}
	for _, field := range fields {
		if column, taken := t.columns[field]; taken {
			return columnConflict{column}
		}
	}
	for _, other := range t.Relationships {
		if slices.Contains(fields, other.Name) || other.Array && other.AggregateName == name {
			return fmt.Errorf("the table has another relationship %q", other.Name)
		}
	}
	return nil
}

// target finds a tracked table of the same source.
func (r *resolver) target(source string, name metadata.TableName) (*Table, error) {
	at := catalog.Name{Schema: name.Schema, Name: name.Name}
	if t, ok := r.model.Table(source, at); ok {
		return t, nil
	}
	c := r.model.Catalogs[source]
	if c == nil {
		return nil, fmt.Errorf("source %q does not exist", source)
	}
	if _, ok := c.Table(at); ok {
		if _, tracked := r.model.Metadata.Table(source, name); tracked {
			return nil, leftOut{at}
		}
		return nil, fmt.Errorf("table %q is not tracked in source: %s", ShortName(at), source)
	}
	return nil, fmt.Errorf("table %q does not exist in source: %s", ShortName(at), source)
}

func (r *resolver) manual(t *Table, to *Relationship, doc *metadata.ManualConfiguration) error {
	target, err := r.target(t.Source, doc.RemoteTable)
	if err != nil {
		return err
	}
	if len(doc.ColumnMapping) == 0 {
		return fmt.Errorf("column_mapping is empty")
	}
	to.Target = target
	for _, local := range slices.Sorted(maps.Keys(doc.ColumnMapping)) {
		remote := doc.ColumnMapping[local]
		if _, ok := t.stored[local]; !ok {
			return fmt.Errorf("column %q of column_mapping does not exist in table %q", local, ShortName(t.Name))
		}
		if _, ok := target.stored[remote]; !ok {
			return fmt.Errorf("column %q of column_mapping does not exist in table %q", remote, ShortName(target.Name))
		}
		to.Mapping = append(to.Mapping, Pair{Local: local, Remote: remote})
	}
	return nil
}

func (r *resolver) ownForeignKey(t *Table, to *Relationship, doc *metadata.ForeignKeyOn) error {
	key, err := foreignKey(t.Catalog, doc.Columns, nil)
	if err != nil {
		return err
	}
	to.Target, err = r.target(t.Source, metadata.TableName{Schema: key.Target.Schema, Name: key.Target.Name})
	if err != nil {
		return err
	}
	to.Nullable = false
	for i, local := range key.Columns {
		to.Mapping = append(to.Mapping, Pair{Local: local, Remote: key.Targets[i]})
		if column, ok := t.stored[local]; !ok || column.Nullable {
			to.Nullable = true
		}
	}
	return nil
}

func (r *resolver) foreignKeyOfOther(t *Table, to *Relationship, doc *metadata.ForeignKeyOn) error {
	other, err := r.target(t.Source, *doc.Table)
	if err != nil {
		return err
	}
	key, err := foreignKey(other.Catalog, doc.Columns, &t.Name)
	if err != nil {
		return err
	}
	to.Target = other
	for i, remote := range key.Columns {
		to.Mapping = append(to.Mapping, Pair{Local: key.Targets[i], Remote: remote})
	}
	return nil
}

// foreignKey finds the key of a table on exactly these columns, in any order,
// to a target if one is given.
func foreignKey(t *catalog.Table, columns []string, target *catalog.Name) (*catalog.ForeignKey, error) {
	want := slices.Sorted(slices.Values(columns))
	for _, name := range want {
		if _, ok := t.Column(name); !ok {
			return nil, fmt.Errorf("column %q does not exist in table %q", name, ShortName(t.Name))
		}
	}
	var found *catalog.ForeignKey
	for i := range t.ForeignKeys {
		key := &t.ForeignKeys[i]
		if target != nil && key.Target != *target || !slices.Equal(slices.Sorted(slices.Values(key.Columns)), want) {
			continue
		}
		if found != nil && (found.Target != key.Target || !slices.Equal(found.Columns, key.Columns) || !slices.Equal(found.Targets, key.Targets)) {
			return nil, fmt.Errorf("more than one foreign key constraint exists on the columns %q of table %q", columns, ShortName(t.Name))
		}
		found = key
	}
	if found == nil {
		return nil, fmt.Errorf("no foreign key constraint exists on the columns %q of table %q", columns, ShortName(t.Name))
	}
	return found, nil
}
