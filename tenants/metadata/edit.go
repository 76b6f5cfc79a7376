package metadata

import (
	"slices"
	"strings"

	"tenantry/api/errcode"
)

// Edits are pure: each takes a document and arguments and returns another
// document, which shares nothing with the first; that one is never modified. The
// new document takes the arguments over. They have the JSON form of the
// dialect's commands. Errors are *errcode.Error, with the path $.args, or of
// arguments that could not be read, a *DecodeError with paths inside of them.

// edit applies change to a copy.
func edit(doc *Document, change func(*Document) error) (*Document, error) {
	c := doc.Clone()
	if err := change(c); err != nil {
		return nil, err
	}
	return c, nil
}

func fail(code errcode.Code, format string, args ...any) error {
	return errcode.New(code, format, args...).At("$.args")
}

// notEmpty refuses an empty name.
func notEmpty(name, key string) error {
	if name == "" {
		return errcode.New(errcode.ParseFailed, "empty string not allowed").At("$." + key)
	}
	return nil
}

// source finds a source; no name means default.
func (d *Document) source(name string) (*Source, error) {
	if name == "" {
		name = "default"
	}
	for i := range d.Sources {
		if d.Sources[i].Name == name {
			return &d.Sources[i], nil
		}
	}
	return nil, fail(errcode.NotExists, "source with name %q does not exist", name)
}

// table finds a tracked table.
func (d *Document) table(source string, name TableName) (*Table, error) {
	s, err := d.source(source)
	if err != nil {
		return nil, err
	}
	if i := s.find(name); i >= 0 {
		return &s.Tables[i], nil
	}
	return nil, fail(errcode.NotExists, "table %q does not exist in source: %s", name, s.Name)
}

func (s *Source) find(name TableName) int {
	return slices.IndexFunc(s.Tables, func(t Table) bool { return t.Table == name })
}

// Table finds a tracked table; no source means default. What is returned is part
// of the document.
func (d *Document) Table(source string, name TableName) (*Table, bool) {
	t, err := d.table(source, name)
	return t, err == nil
}

// Clear leaves the source default, without tables, and nothing else.
func Clear(doc *Document) *Document {
	c := &Document{Version: 3, Sources: doc.Clone().Sources}
	c.Sources = slices.DeleteFunc(c.Sources, func(s Source) bool { return s.Name != DefaultSource })
	for i := range c.Sources {
		s := &c.Sources[i]
		s.Tables, s.Functions, s.NativeQueries, s.LogicalModels = []Table{}, nil, nil, nil
	}
	return c
}

// dependency is the error for what others depend on.
func dependency(dependents []string) error {
	return fail(errcode.DependencyError, "cannot drop due to the following dependent objects: %s", strings.Join(dependents, ", "))
}
