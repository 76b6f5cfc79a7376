// Package schema shows what a role may do as GraphQL: the names and definitions
// of all generated types live here.
//
// It stands between tenants/model with policy/access and services/engine/operation,
// which validates against it, and services/engine/planner, which finds the model's
// things by GraphQL names. A Schema is made in microseconds and holds no types:
// definitions are built when they are asked for, because a materialised schema
// costs about 100 KiB per table and role. Full builds everything, for
// introspection and SDL.
package schema

import (
	"strings"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/policy/access"
	"tenantry/tenants/model"
)

// Options are the facts outside of permissions that change what is shown.
type Options struct {
	// BackendOnly shows mutations that are permitted to backends only
	// (contracts §2).
	BackendOnly bool
	// NoIntrospection hides __schema and __type (contracts §12.3).
	NoIntrospection bool
}

// Permissions is what a schema asks of access; *access.Role fulfils it.
type Permissions interface {
	Table(*model.Table) *access.Table
	Action(*model.Action) bool
}

// Schema is one role's view of a project. Safe for concurrent use; what it hands
// out is shared and must not be changed.
type Schema struct {
	model   *model.Model
	role    Permissions
	options Options
	tables  map[string]*model.Table // by type name B

	mu   sync.RWMutex
	memo map[string]*ast.Definition
}

// maxMemo bounds the kept definitions of one schema; the memo starts again when
// it is full, so that a client that touches every type of a large project can't
// materialise the whole schema for good.
const maxMemo = 512

// For is the schema of a role.
func For(m *model.Model, r *access.Role, options Options) *Schema {
	return New(m, r, options)
}

// New is For with any source of permissions.
func New(m *model.Model, p Permissions, options Options) *Schema {
	s := &Schema{model: m, role: p, options: options,
		tables: make(map[string]*model.Table, len(m.Tables)),
		memo:   map[string]*ast.Definition{},
	}
	for _, t := range m.Tables {
		s.tables[t.Type] = t
	}
	return s
}

// Definition is a type by name; nil when the role has no such type. The root
// types come complete, which is costly with many tables: operations ask
// RootDefinition instead.
func (s *Schema) Definition(name string) *ast.Definition {
	switch name {
	case QueryRoot:
		return s.queryRoot()
	case MutationRoot:
		return s.mutationRoot()
	}
	if d := builtin().types[name]; d != nil {
		return d
	}
	s.mu.RLock()
	d := s.memo[name]
	s.mu.RUnlock()
	if d != nil {
		return d
	}
	if d = s.build(name); d == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.memo[name]; first != nil {
		return first // another request was faster: one definition per name
	}
	if len(s.memo) >= maxMemo {
		s.memo = map[string]*ast.Definition{}
	}
	s.memo[name] = d
	return d
}

// build makes the definition of a type that is neither built in nor a root.
func (s *Schema) build(name string) *ast.Definition {
	if t := s.model.Types[name]; t != nil && !t.BuiltIn {
		return s.customType(t)
	}
	if t := s.tables[name]; t != nil {
		return s.object(t)
	}
	if name == OrderByEnum {
		return orderByEnum
	}
	for _, g := range generated {
		base, ok := strings.CutSuffix(name, g.suffix)
		if !ok {
			continue
		}
		if t := s.tables[base]; t != nil {
			if d := g.build(s, t, name); d != nil {
				return d
			}
		}
	}
	if scalar, ok := strings.CutSuffix(name, arrayComparisonSuffix); ok && s.hasScalar(scalar, true) {
		return arrayComparison(scalar)
	}
	if scalar, ok := strings.CutSuffix(name, comparisonSuffix); ok && s.hasScalar(scalar, false) {
		return comparison(scalar)
	}
	if s.hasScalar(name, false) || s.hasScalar(name, true) || s.model.Types[name] != nil {
		return &ast.Definition{Kind: ast.Scalar, Name: name}
	}
	return nil
}

// hasScalar reports whether some column that the role may name has the scalar,
// as a list or not.
func (s *Schema) hasScalar(scalar string, list bool) bool {
	for _, t := range s.model.Tables {
		p := s.role.Table(t)
		for _, c := range t.Columns {
			if c.Scalar == scalar && c.List() == list && mentions(p, c) {
				return true
			}
		}
	}
	return false
}

func mentions(p *access.Table, c *model.Column) bool {
	return p.Select != nil && p.Select.Columns.Has(c) ||
		p.Insert != nil && p.Insert.Columns.Has(c) ||
		p.Update != nil && p.Update.Columns.Has(c)
}

// TableOf is the table behind an object type; nil for other types.
func (s *Schema) TableOf(typeName string) *model.Table {
	if t := s.tables[typeName]; t != nil && s.selectable(t) {
		return t
	}
	return nil
}

// ObjectType is the custom object type of that name; nil for other types.
func (s *Schema) ObjectType(typeName string) *model.Type {
	if t := s.model.Types[typeName]; t != nil && t.Kind == model.Object {
		return t
	}
	return nil
}

// CustomScalar reports whether name is a scalar that the tenant declared: any
// JSON is a value of it.
func (s *Schema) CustomScalar(name string) bool {
	t := s.model.Types[name]
	return t != nil && t.Kind == model.Scalar && !t.BuiltIn
}

// CustomInput reports whether name is an input object that the tenant declared.
func (s *Schema) CustomInput(name string) bool {
	t := s.model.Types[name]
	return t != nil && t.Kind == model.Input
}

// IsScalar reports whether name is a scalar type, of whatever origin.
func (s *Schema) IsScalar(name string) bool {
	d := s.Definition(name)
	return d != nil && d.Kind == ast.Scalar
}

// RefusesNull reports whether the fields of an input type can't be null although
// they may be left out: conditions, where a null would silently be true.
func (s *Schema) RefusesNull(typeName string) bool {
	if t := s.model.Types[typeName]; t != nil && !t.BuiltIn {
		return false
	}
	return strings.HasSuffix(typeName, boolExpSuffix) || strings.HasSuffix(typeName, comparisonSuffix)
}

// Introspection reports whether __schema and __type are there.
func (s *Schema) Introspection() bool { return !s.options.NoIntrospection }
