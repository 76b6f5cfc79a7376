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
	"slices"
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
	// Relay is the flavour of the schema for Relay clients.
	Relay bool
	// CollapsesNull takes a null where a condition is wanted as true.
	CollapsesNull bool
	// StringifiesNumbers answers numbers that a double can't hold as strings.
	StringifiesNumbers bool
	// InferFunctions lets whoever may read a table call the functions without
	// effects that return its rows.
	InferFunctions bool
	// Federation makes the schema that of a subgraph.
	Federation bool
}

// Permissions is what a schema asks of access; *access.Role fulfils it.
type Permissions interface {
	Table(*model.Table) *access.Table
	Action(*model.Action) bool
	Function(*model.Function) bool
}

// Schema is one role's view of a project. Safe for concurrent use; what it hands
// out is shared and must not be changed.
type Schema struct {
	model   *model.Model
	role    Permissions
	options Options

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
	return &Schema{model: m, role: p, options: options, memo: map[string]*ast.Definition{}}
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
	case SubscriptionRoot:
		return s.subscriptionRoot()
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
	if t := s.model.RowType(name); t != nil {
		return s.object(t)
	}
	if s.options.Relay {
		if d := s.relayType(name); d != nil {
			return d
		}
	}
	if d := s.federationType(name); d != nil {
		return d
	}
	for _, n := range s.model.Namings {
		if d := s.buildNamed(n, name); d != nil {
			return d
		}
	}
	if e := s.model.Enums[name]; e != nil {
		return s.tableEnum(e)
	}
	if d := s.callInput(name); d != nil {
		return d
	}
	if d := s.spatial(name); d != nil {
		return d
	}
	if a := s.asyncAction(name); a != nil {
		return runType(a)
	}
	if s.usesScalar(name, false) || s.hasScalar(name, true) || s.model.Types[name] != nil || slices.Contains(runScalars, name) && s.hasRuns() {
		return &ast.Definition{Kind: ast.Scalar, Name: name}
	}
	return nil
}

// buildNamed makes the definition of a type whose name follows from a source's
// naming.
func (s *Schema) buildNamed(n *model.Naming, name string) *ast.Definition {
	if name == n.Shared(OrderByEnum) {
		return orderByEnum(n)
	}
	if n.Namespace != "" {
		for _, op := range []ast.Operation{ast.Query, ast.Mutation} {
			if name == s.TypeOf(n, op) {
				return s.rootOf(n, op)
			}
		}
	}
	if inner, ok := n.Inner(name); ok {
		if d := s.buildOfTable(n, inner, name); d != nil {
			return d
		}
	}
	return s.buildShared(n, name)
}

// buildShared makes the types that belong to scalars and enums.
func (s *Schema) buildShared(n *model.Naming, name string) *ast.Definition {
	if written, ok := strings.CutSuffix(name, n.TypePart(arrayComparisonSuffix)); ok {
		if scalar, ok := s.scalarOf(n, written, true); ok {
			return s.arrayComparison(n, scalar)
		}
	}
	if written, ok := strings.CutSuffix(name, n.TypePart(comparisonSuffix)); ok {
		if e := s.model.Enums[written]; e != nil && s.hasScalar(written, false) {
			return enumComparison(n, name, written)
		}
		if scalar, ok := s.scalarOf(n, written, false); ok {
			return s.comparison(n, scalar)
		}
	}
	if written, ok := strings.CutSuffix(name, n.TypePart(castSuffix)); ok {
		if scalar, ok := s.scalarOf(n, written, false); ok {
			return s.cast(n, scalar)
		}
	}
	return nil
}

// buildOfTable makes one of the types of a table.
func (s *Schema) buildOfTable(n *model.Naming, inner, name string) *ast.Definition {
	if d := s.boolColumns(n, inner, name); d != nil {
		return d
	}
	for _, g := range generated {
		base, ok := strings.CutSuffix(inner, n.TypePart(g.suffix))
		if !ok {
			continue
		}
		if t := s.model.RowType(n.TypeOf(base)); t != nil && t.Naming == n {
			if d := g.build(s, t, name); d != nil {
				return d
			}
		}
	}
	return nil
}

// scalarOf finds the scalar that the name of a comparison type begins with.
func (s *Schema) scalarOf(n *model.Naming, written string, list bool) (string, bool) {
	if !n.Camel {
		return written, list && s.hasScalar(written, true) || !list && s.hasComparison(written)
	}
	for _, scalar := range append([]string{"geometry", "geography"}, everywhere...) {
		if !list && n.Shared(scalar) == written {
			return scalar, s.hasComparison(scalar)
		}
	}
	for _, t := range s.model.Tables {
		if t.Naming != n {
			continue
		}
		p := s.role.Table(t)
		for _, c := range t.Columns {
			if c.List() == list && n.Shared(c.Scalar) == written && mentions(p, c) {
				return c.Scalar, true
			}
		}
	}
	return s.ownScalar(list, func(of *model.Naming, c *model.Column) bool { return of == n && n.Shared(c.Scalar) == written })
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
	_, ok := s.ownScalar(list, func(_ *model.Naming, c *model.Column) bool { return c.Scalar == scalar })
	return ok
}

func mentions(p *access.Table, c *model.Column) bool {
	return p.Select != nil && p.Select.Columns.Has(c) ||
		p.Insert != nil && p.Insert.Columns.Has(c) ||
		p.Update != nil && p.Update.Columns.Has(c)
}

// TableOf is the table behind an object type; nil for other types.
func (s *Schema) TableOf(typeName string) *model.Table {
	if t := s.model.RowType(typeName); t != nil && s.selectable(t) {
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

// CustomScalar reports whether any JSON is a value of a scalar: the tenant
// declared it, or a gateway names entities by it.
func (s *Schema) CustomScalar(name string) bool {
	if name == anyScalar && s.federated() {
		return true
	}
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
	if s.options.CollapsesNull {
		return false
	}
	return s.isPart(typeName, boolExpSuffix) || s.isPart(typeName, comparisonSuffix)
}

// InsertInput reports whether a type is the input of rows to insert.
func (s *Schema) InsertInput(typeName string) bool { return s.isPart(typeName, insertInputSuffix) }

// isPart reports whether a type's name ends in a part, as some source writes it.
func (s *Schema) isPart(typeName, suffix string) bool {
	for _, n := range s.model.Namings {
		if strings.HasSuffix(typeName, n.TypePart(suffix)) {
			return true
		}
		if inner, ok := n.Inner(typeName); ok && strings.HasSuffix(inner, n.TypePart(suffix)) {
			return true
		}
	}
	return false
}

// CollapsesNull reports whether a null where a condition is wanted is true.
func (s *Schema) CollapsesNull() bool { return s.options.CollapsesNull }

// StringifiesNumbers reports whether large numbers are answered as strings.
func (s *Schema) StringifiesNumbers() bool { return s.options.StringifiesNumbers }

// Introspection reports whether __schema and __type are there.
func (s *Schema) Introspection() bool { return !s.options.NoIntrospection }
