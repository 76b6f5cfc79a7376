package metadata

import (
	"fmt"
	"slices"

	"tenantry/api/errcode"
)

// RemoteRelationshipArgs are the arguments of CreateRemoteRelationship and
// UpdateRemoteRelationship.
type RemoteRelationshipArgs struct {
	Source     string           `json:"source,omitempty"`
	Table      TableName        `json:"table"`
	Name       string           `json:"name"`
	Definition RemoteDefinition `json:"definition"`
}

// CreateRemoteRelationship adds a relationship to another source.
func CreateRemoteRelationship(doc *Document, args RemoteRelationshipArgs) (*Document, error) {
	if err := notEmpty(args.Name, "name"); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		t, err := d.table(args.Source, args.Table)
		if err != nil {
			return err
		}
		if t.hasRelationship(args.Name) || t.remote(args.Name) >= 0 {
			return fail(errcode.AlreadyExists, "field with name %q already exists in table %q", args.Name, args.Table)
		}
		t.RemoteRelationships = append(t.RemoteRelationships, RemoteRelationship{Name: args.Name, Definition: args.Definition})
		return nil
	})
}

// UpdateRemoteRelationship replaces the definition of a relationship to another
// source.
func UpdateRemoteRelationship(doc *Document, args RemoteRelationshipArgs) (*Document, error) {
	return editRemote(doc, args.Source, args.Table, args.Name, func(t *Table, at int) {
		t.RemoteRelationships[at].Definition = args.Definition
	})
}

// DeleteRemoteRelationshipArgs are the arguments of DeleteRemoteRelationship.
type DeleteRemoteRelationshipArgs struct {
	Source string    `json:"source,omitempty"`
	Table  TableName `json:"table"`
	Name   string    `json:"name"`
}

// DeleteRemoteRelationship removes a relationship to another source. Nothing can
// depend on it: rules do not reach over it.
func DeleteRemoteRelationship(doc *Document, args DeleteRemoteRelationshipArgs) (*Document, error) {
	return editRemote(doc, args.Source, args.Table, args.Name, func(t *Table, at int) {
		t.RemoteRelationships = slices.Delete(t.RemoteRelationships, at, at+1)
	})
}

func editRemote(doc *Document, source string, table TableName, name string, change func(t *Table, at int)) (*Document, error) {
	return edit(doc, func(d *Document) error {
		t, err := d.table(source, table)
		if err != nil {
			return err
		}
		at := t.remote(name)
		if at < 0 {
			return fail(errcode.NotExists, "remote relationship %q does not exist in table %q", name, table)
		}
		change(t, at)
		return nil
	})
}

// remote is the place of a remote relationship; -1 if there is none.
func (t *Table) remote(name string) int {
	return slices.IndexFunc(t.RemoteRelationships, func(r RemoteRelationship) bool { return r.Name == name })
}

// dropRemotes removes the remote relationships, of tables of any source, that
// meet a condition.
func (d *Document) dropRemotes(met func(s *Source, t *Table, to *ToSource) bool) {
	for i := range d.Sources {
		s := &d.Sources[i]
		for j := range s.Tables {
			t := &s.Tables[j]
			t.RemoteRelationships = slices.DeleteFunc(t.RemoteRelationships, func(r RemoteRelationship) bool {
				return r.Definition.ToSource != nil && met(s, t, r.Definition.ToSource)
			})
		}
	}
}

// remotes names the remote relationships that meet a condition, as messages do.
func (d *Document) remotes(met func(s *Source, t *Table, to *ToSource) bool) []string {
	var names []string
	for i := range d.Sources {
		s := &d.Sources[i]
		for j := range s.Tables {
			t := &s.Tables[j]
			for _, r := range t.RemoteRelationships {
				if r.Definition.ToSource != nil && met(s, t, r.Definition.ToSource) {
					names = append(names, fmt.Sprintf("remote relationship %s.%s in source %q", t.Table, r.Name, s.Name))
				}
			}
		}
	}
	return names
}
