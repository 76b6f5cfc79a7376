package metadata

import (
	"slices"

	"tenantry/api/errcode"
)

// LogicalModelArgs are the arguments of TrackLogicalModel.
type LogicalModelArgs struct {
	Source      string              `json:"source,omitempty"`
	Name        string              `json:"name"`
	Description string              `json:"description,omitempty"`
	Fields      []LogicalModelField `json:"fields"`
}

// LogicalModelName names a logical model.
type LogicalModelName struct {
	Source string `json:"source,omitempty"`
	Name   string `json:"name"`
}

func (s *Source) logicalModel(name string) (*LogicalModel, error) {
	for i := range s.LogicalModels {
		if s.LogicalModels[i].Name == name {
			return &s.LogicalModels[i], nil
		}
	}
	return nil, fail(errcode.NotExists, "logical model with name %q does not exist in source: %s", name, s.Name)
}

// TrackLogicalModel adds a logical model that nobody but admin may read yet.
func TrackLogicalModel(doc *Document, args LogicalModelArgs) (*Document, error) {
	if err := notEmpty(args.Name, "name"); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Source)
		if err != nil {
			return err
		}
		if _, err := s.logicalModel(args.Name); err == nil {
			return fail(errcode.AlreadyTracked, "logical model with name %q already exists in source: %s", args.Name, s.Name)
		}
		m := LogicalModel{Name: args.Name, Description: args.Description, Fields: args.Fields}
		if err := problemsOf(func(c *decoder) { c.logicalModel(m, "$") }); err != nil {
			return err
		}
		s.LogicalModels = append(s.LogicalModels, m)
		return nil
	})
}

// UntrackLogicalModel removes a logical model; native queries that return it
// forbid it.
func UntrackLogicalModel(doc *Document, args LogicalModelName) (*Document, error) {
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Source)
		if err != nil {
			return err
		}
		if _, err := s.logicalModel(args.Name); err != nil {
			return err
		}
		var users []string
		for _, q := range s.NativeQueries {
			if q.Returns == args.Name {
				users = append(users, "native query "+q.RootField+" in source \""+s.Name+"\"")
			}
		}
		if len(users) > 0 {
			return dependency(users)
		}
		s.LogicalModels = slices.DeleteFunc(s.LogicalModels, func(m LogicalModel) bool { return m.Name == args.Name })
		return nil
	})
}

// LogicalModelPermissionArgs are the arguments of
// CreateLogicalModelSelectPermission.
type LogicalModelPermissionArgs struct {
	Source     string           `json:"source,omitempty"`
	Name       string           `json:"name"`
	Role       string           `json:"role"`
	Permission LogicalModelRule `json:"permission"`
	Comment    string           `json:"comment,omitempty"`
}

// CreateLogicalModelSelectPermission lets a role read a logical model.
func CreateLogicalModelSelectPermission(doc *Document, args LogicalModelPermissionArgs) (*Document, error) {
	if err := notEmpty(args.Role, "role"); err != nil {
		return nil, err
	}
	return editLogicalModel(doc, args.Source, args.Name, func(m *LogicalModel) error {
		if slices.ContainsFunc(m.SelectPermissions, func(p LogicalModelSelectPermission) bool { return p.Role == args.Role }) {
			return fail(errcode.AlreadyExists, "select permission already defined on logical model %q with role %q", args.Name, args.Role)
		}
		m.SelectPermissions = append(m.SelectPermissions, LogicalModelSelectPermission{args.Role, args.Comment, args.Permission})
		return nil
	})
}

// DropLogicalModelPermissionArgs are the arguments of
// DropLogicalModelSelectPermission.
type DropLogicalModelPermissionArgs struct {
	Source string `json:"source,omitempty"`
	Name   string `json:"name"`
	Role   string `json:"role"`
}

// DropLogicalModelSelectPermission takes a role's permission to read.
func DropLogicalModelSelectPermission(doc *Document, args DropLogicalModelPermissionArgs) (*Document, error) {
	return editLogicalModel(doc, args.Source, args.Name, func(m *LogicalModel) error {
		at := slices.IndexFunc(m.SelectPermissions, func(p LogicalModelSelectPermission) bool { return p.Role == args.Role })
		if at < 0 {
			return fail(errcode.NotExists, "select permission on logical model %q for role %q does not exist", args.Name, args.Role)
		}
		m.SelectPermissions = slices.Delete(m.SelectPermissions, at, at+1)
		return nil
	})
}

func editLogicalModel(doc *Document, source, name string, change func(*LogicalModel) error) (*Document, error) {
	return edit(doc, func(d *Document) error {
		s, err := d.source(source)
		if err != nil {
			return err
		}
		m, err := s.logicalModel(name)
		if err != nil {
			return err
		}
		return change(m)
	})
}

// NativeQueryArgs are the arguments of TrackNativeQuery.
type NativeQueryArgs struct {
	Source string `json:"source,omitempty"`
	NativeQuery
}

// NativeQueryName names a native query.
type NativeQueryName struct {
	Source    string `json:"source,omitempty"`
	RootField string `json:"root_field_name"`
}

func (s *Source) nativeQuery(name string) int {
	return slices.IndexFunc(s.NativeQueries, func(q NativeQuery) bool { return q.RootField == name })
}

// TrackNativeQuery adds a root field over SQL text.
func TrackNativeQuery(doc *Document, args NativeQueryArgs) (*Document, error) {
	if err := notEmpty(args.RootField, "root_field_name"); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Source)
		if err != nil {
			return err
		}
		if s.nativeQuery(args.RootField) >= 0 {
			return fail(errcode.AlreadyTracked, "native query with name %q already exists in source: %s", args.RootField, s.Name)
		}
		if err := problemsOf(func(c *decoder) { c.nativeQuery(args.NativeQuery, "$") }); err != nil {
			return err
		}
		s.NativeQueries = append(s.NativeQueries, args.NativeQuery)
		return nil
	})
}

// UntrackNativeQuery removes a native query; relationships of others that lead to
// it forbid it.
func UntrackNativeQuery(doc *Document, args NativeQueryName) (*Document, error) {
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Source)
		if err != nil {
			return err
		}
		at := s.nativeQuery(args.RootField)
		if at < 0 {
			return fail(errcode.NotExists, "native query with name %q does not exist in source: %s", args.RootField, s.Name)
		}
		var users []string
		for _, q := range s.NativeQueries {
			for _, r := range append(slices.Clone(q.ObjectRelationships), q.ArrayRelationships...) {
				if q.RootField != args.RootField && r.Using.RemoteNativeQuery == args.RootField {
					users = append(users, "relationship "+q.RootField+"."+r.Name+" in source \""+s.Name+"\"")
				}
			}
		}
		if len(users) > 0 {
			return dependency(users)
		}
		s.NativeQueries = slices.Delete(s.NativeQueries, at, at+1)
		return nil
	})
}
