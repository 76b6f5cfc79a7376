package metadata

import (
	"fmt"
	"slices"

	"tenantry/api/errcode"
)

// TrackTableArgs are the arguments of TrackTable.
type TrackTableArgs struct {
	Source           string              `json:"source,omitempty"`
	Table            TableName           `json:"table"`
	Configuration    *TableConfiguration `json:"configuration,omitempty"`
	IsEnum           bool                `json:"is_enum,omitempty"`
	ApolloFederation *ApolloFederation   `json:"apollo_federation_config,omitempty"`
}

// TrackTable adds a table.
func TrackTable(doc *Document, args TrackTableArgs) (*Document, error) {
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Source)
		if err != nil {
			return err
		}
		if s.find(args.Table) >= 0 {
			return fail(errcode.AlreadyTracked, "view/table already tracked: %q", args.Table)
		}
		t := Table{Table: args.Table, Configuration: args.Configuration, IsEnum: args.IsEnum, ApolloFederation: args.ApolloFederation}
		if err := problemsOf(func(c *decoder) { c.table(&t, "$") }); err != nil {
			return err
		}
		s.Tables = append(s.Tables, t)
		return nil
	})
}

// problemsOf runs a validation; the error is a *DecodeError.
func problemsOf(validate func(*decoder)) error {
	c := &decoder{}
	validate(c)
	return c.err()
}

// UntrackTableArgs are the arguments of UntrackTable.
type UntrackTableArgs struct {
	Source  string    `json:"source,omitempty"`
	Table   TableName `json:"table"`
	Cascade bool      `json:"cascade,omitempty"`
}

// TargetOf tells where a relationship of a table leads, which a foreign key's
// columns alone do not say; the model knows.
type TargetOf func(source string, table TableName, relationship string) (TableName, bool)

// UntrackTable removes a table with all that hangs on it. Relationships that
// lead to it from elsewhere, and permissions that use those, forbid it, or go
// with it if args say cascade. targetOf may be nil: then relationships that name
// only columns are taken to lead elsewhere.
func UntrackTable(doc *Document, args UntrackTableArgs, targetOf TargetOf) (*Document, error) {
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Source)
		if err != nil {
			return err
		}
		at := s.find(args.Table)
		if at < 0 {
			return fail(errcode.AlreadyUntracked, "view/table already untracked: %q", args.Table)
		}
		u := untracking{source: s.Name, table: args.Table, targetOf: targetOf}
		if dependents := u.dependents(d, s); len(dependents) > 0 && !args.Cascade {
			return dependency(dependents)
		}
		u.cascade(d, s)
		s.Tables = slices.Delete(s.Tables, at, at+1)
		return nil
	})
}

type untracking struct {
	source   string
	table    TableName
	targetOf TargetOf
}

// leadsHere reports whether a relationship of another table leads to the table.
func (u untracking) leadsHere(of TableName, r Relationship) bool {
	if u.targetOf != nil {
		if to, ok := u.targetOf(u.source, of, r.Name); ok {
			return to == u.table
		}
	}
	switch {
	case r.Using.Manual != nil:
		return r.Using.Manual.RemoteTable == u.table
	case r.Using.ForeignKey != nil && r.Using.ForeignKey.Table != nil:
		return *r.Using.ForeignKey.Table == u.table
	}
	return false
}

// pointing reports whether an action's type leads to the table.
func (u untracking) pointing(r TypeRelationship) bool {
	return (r.Source == u.source || r.Source == "" && u.source == "default") && r.RemoteTable == u.table
}

// remote reports whether a remote relationship of another table leads to the
// table.
func (u untracking) remote(s *Source, t *Table, to *ToSource) bool {
	return to.Source == u.source && to.Table == u.table && (s.Name != u.source || t.Table != u.table)
}

func (u untracking) dependents(d *Document, s *Source) []string {
	var found []string
	for i := range s.Tables {
		t := &s.Tables[i]
		if t.Table == u.table {
			continue
		}
		for _, list := range [][]Relationship{t.ObjectRelationships, t.ArrayRelationships} {
			for _, r := range list {
				if u.leadsHere(t.Table, r) {
					found = append(found, fmt.Sprintf("relationship %s.%s in source %q", t.Table, r.Name, s.Name))
					found = append(found, t.permissionsUsing(r.Name, s.Name)...)
				}
			}
		}
	}
	found = append(found, d.remotes(u.remote)...)
	if d.CustomTypes != nil {
		for _, o := range d.CustomTypes.Objects {
			for _, r := range o.Relationships {
				if u.pointing(r) {
					found = append(found, fmt.Sprintf("relationship %s of object type %s", r.Name, o.Name))
				}
			}
		}
	}
	return found
}

func (u untracking) cascade(d *Document, s *Source) {
	for i := range s.Tables {
		t := &s.Tables[i]
		if t.Table == u.table {
			continue
		}
		for _, list := range []*[]Relationship{&t.ObjectRelationships, &t.ArrayRelationships} {
			*list = slices.DeleteFunc(*list, func(r Relationship) bool {
				if !u.leadsHere(t.Table, r) {
					return false
				}
				t.dropPermissionsUsing(r.Name)
				return true
			})
		}
	}
	d.dropRemotes(u.remote)
	if d.CustomTypes != nil {
		for i := range d.CustomTypes.Objects {
			o := &d.CustomTypes.Objects[i]
			o.Relationships = slices.DeleteFunc(o.Relationships, u.pointing)
		}
	}
}
