package schema

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/tenants/model"
)

// Kind of a root field.
type Kind string

// The kinds of root fields (contracts §1.3).
const (
	Select     Kind = "select"
	SelectByPK Kind = "select_by_pk"
	// SelectAggregate is B_aggregate.
	SelectAggregate Kind = "select_aggregate"
	// Namespace holds the root fields of a source.
	Namespace   Kind = "namespace"
	Insert      Kind = "insert"
	InsertOne   Kind = "insert_one"
	Update      Kind = "update"
	UpdateByPK  Kind = "update_by_pk"
	UpdateMany  Kind = "update_many"
	Delete      Kind = "delete"
	DeleteByPK  Kind = "delete_by_pk"
	ActionField Kind = "action"
	// Placebo is no_queries_available: always null.
	Placebo Kind = "placebo"
	// Meta is __typename, __schema or __type.
	Meta Kind = "meta"
)

// RootField is what a field of a root type means.
type RootField struct {
	Kind Kind
	// Table of every kind but actions and meta fields.
	Table *model.Table
	// Action of an action.
	Action *model.Action
	// Function or Native of a field of theirs.
	Function *model.Function
	Native   *model.NativeQuery
	// Naming of a namespace.
	Naming *model.Naming
}

// tableRoot describes one root field of a table.
type tableRoot struct {
	kind    Kind
	field   func(*model.RootFields) model.RootField
	visible func(*Schema, *model.Table) bool
	about   string
	build   func(*Schema, *model.Table) (*ast.Type, ast.ArgumentDefinitionList)
}

var queryRoots, mutationRoots []tableRoot

func init() { // literals would refer to themselves through the builders
	queryRoots = []tableRoot{
		{Select, func(r *model.RootFields) model.RootField { return r.Select },
			func(s *Schema, t *model.Table) bool { return s.selectable(t) && s.role.Table(t).Select.Roots.Select },
			"fetch data from the table: %q",
			func(_ *Schema, t *model.Table) (*ast.Type, ast.ArgumentDefinitionList) {
				return nonNullListOf(t.Type), selectArguments(t)
			}},
		{SelectByPK, func(r *model.RootFields) model.RootField { return r.SelectByPK },
			func(s *Schema, t *model.Table) bool {
				return s.keyVisible(t) && s.role.Table(t).Select.Roots.SelectByPK
			},
			"fetch data from the table: %q using primary key columns",
			func(_ *Schema, t *model.Table) (*ast.Type, ast.ArgumentDefinitionList) {
				return named(t.Type), keyArguments(t)
			}},
		{SelectAggregate, func(r *model.RootFields) model.RootField { return r.SelectAggregate },
			func(s *Schema, t *model.Table) bool {
				return s.aggregates(t) && s.role.Table(t).Select.Roots.SelectAggregate
			},
			"fetch aggregated fields from the table: %q",
			func(_ *Schema, t *model.Table) (*ast.Type, ast.ArgumentDefinitionList) {
				return nonNull(t.TypeName(aggregateSuffix)), selectArguments(t)
			}},
	}
	mutationRoots = []tableRoot{
		{Insert, func(r *model.RootFields) model.RootField { return r.Insert },
			func(s *Schema, t *model.Table) bool { _, ok := s.insertable(t); return ok },
			"insert data into the table: %q",
			func(s *Schema, t *model.Table) (*ast.Type, ast.ArgumentDefinitionList) {
				return named(MutationResponse(t)), s.insertArguments(t, Objects, nonNullListOf(t.TypeName(insertInputSuffix)))
			}},
		{InsertOne, func(r *model.RootFields) model.RootField { return r.InsertOne },
			func(s *Schema, t *model.Table) bool { _, ok := s.insertable(t); return ok && s.selectable(t) },
			"insert a single row into the table: %q",
			func(s *Schema, t *model.Table) (*ast.Type, ast.ArgumentDefinitionList) {
				return named(t.Type), s.insertArguments(t, Object, nonNull(t.TypeName(insertInputSuffix)))
			}},
		{Update, func(r *model.RootFields) model.RootField { return r.Update },
			func(s *Schema, t *model.Table) bool { _, ok := s.updatable(t); return ok },
			"update data of the table: %q",
			func(s *Schema, t *model.Table) (*ast.Type, ast.ArgumentDefinitionList) {
				return named(MutationResponse(t)), sortArguments(append(s.updateArguments(t), whereArgument(t)))
			}},
		{UpdateByPK, func(r *model.RootFields) model.RootField { return r.UpdateByPK },
			func(s *Schema, t *model.Table) bool { _, ok := s.updatable(t); return ok && s.keyVisible(t) },
			"update single row of the table: %q",
			func(s *Schema, t *model.Table) (*ast.Type, ast.ArgumentDefinitionList) {
				return named(t.Type), sortArguments(append(s.updateArguments(t),
					&ast.ArgumentDefinition{Name: t.Naming.Field(PKColumns), Type: nonNull(t.TypeName(pkColumnsInputSuffix))}))
			}},
		{UpdateMany, func(r *model.RootFields) model.RootField { return r.UpdateMany },
			func(s *Schema, t *model.Table) bool { _, ok := s.updatable(t); return ok },
			"update multiple rows of table: %q",
			func(_ *Schema, t *model.Table) (*ast.Type, ast.ArgumentDefinitionList) {
				return &ast.Type{Elem: named(MutationResponse(t))}, ast.ArgumentDefinitionList{
					{Name: Updates, Description: "updates to execute, in order", Type: nonNullListOf(t.TypeName(updatesSuffix))}}
			}},
		{Delete, func(r *model.RootFields) model.RootField { return r.Delete },
			(*Schema).deletable,
			"delete data from the table: %q",
			func(_ *Schema, t *model.Table) (*ast.Type, ast.ArgumentDefinitionList) {
				return named(MutationResponse(t)), ast.ArgumentDefinitionList{whereArgument(t)}
			}},
		{DeleteByPK, func(r *model.RootFields) model.RootField { return r.DeleteByPK },
			func(s *Schema, t *model.Table) bool { return s.deletable(t) && s.keyVisible(t) },
			"delete single row from the table: %q",
			func(_ *Schema, t *model.Table) (*ast.Type, ast.ArgumentDefinitionList) {
				return named(t.Type), keyArguments(t)
			}},
	}
}

func whereArgument(t *model.Table) *ast.ArgumentDefinition {
	return &ast.ArgumentDefinition{Name: Where, Description: "filter the rows which have to be affected", Type: nonNull(t.TypeName(boolExpSuffix))}
}

func keyArguments(t *model.Table) ast.ArgumentDefinitionList {
	var args ast.ArgumentDefinitionList
	for _, c := range t.PrimaryKey {
		args = append(args, &ast.ArgumentDefinition{Name: c.Name, Description: c.Comment, Type: must(columnType(c))})
	}
	return sortArguments(args)
}

func (s *Schema) insertArguments(t *model.Table, name string, rows *ast.Type) ast.ArgumentDefinitionList {
	args := ast.ArgumentDefinitionList{{Name: name, Description: "the rows to be inserted", Type: rows}}
	if s.upsertable(t) {
		args = append(args, &ast.ArgumentDefinition{Name: t.Naming.Field(OnConflict), Description: "upsert condition", Type: named(t.TypeName(onConflictSuffix))})
	}
	return args
}

// name of the field; empty when the table has none.
func (r tableRoot) name(t *model.Table) string {
	name := r.field(&t.Root).Name
	if r.kind == Connection && name != "" {
		return ConnectionName(t.Naming, name)
	}
	return name
}

func (r tableRoot) definition(s *Schema, t *model.Table) *ast.FieldDefinition {
	f := r.field(&t.Root)
	d := &ast.FieldDefinition{Name: r.name(t), Description: f.Comment}
	if d.Description == "" {
		d.Description = fmt.Sprintf(r.about, t.Name.Name)
	}
	d.Type, d.Arguments = r.build(s, t)
	return d
}

func (s *Schema) rootsOf(op ast.Operation) []tableRoot {
	switch op {
	case ast.Query:
		if s.options.Relay {
			return relayRoots
		}
		return queryRoots
	case ast.Mutation:
		return mutationRoots
	}
	return nil
}

// Root says what a root field means; false when the role has no such field.
func (s *Schema) Root(op ast.Operation, name string) (RootField, bool) {
	if f, _, ok := s.findRoot(op, name); ok {
		return f, true
	}
	switch {
	case name == "__typename",
		op == ast.Query && s.Introspection() && (name == "__schema" || name == "__type"):
		return RootField{Kind: Meta}, true
	case op == ast.Query && name == NoQueriesField && !s.any(ast.Query):
		return RootField{Kind: Placebo}, true
	}
	return RootField{}, false
}

// findRoot searches instead of keeping an index: an index of all root fields
// for every role of every project costs more than a few microseconds now and then.
func (s *Schema) findRoot(op ast.Operation, name string) (RootField, tableRoot, bool) {
	if f, r, ok := s.findTableRoot(op, name, ""); ok {
		return f, r, ok
	}
	for _, a := range s.model.Actions {
		if a.Name == name && s.shows(a, op) {
			return RootField{Kind: ActionField, Action: a}, tableRoot{}, true
		}
	}
	if name == NodeField && op == ast.Query && len(s.nodes()) > 0 {
		return RootField{Kind: NodeRoot}, tableRoot{}, true
	}
	if op == ast.Query && s.federationRoot(name) != nil {
		return RootField{Kind: federationKind(name)}, tableRoot{}, true
	}
	if n, ok := s.Namespaced(op, name); ok {
		return RootField{Kind: Namespace, Naming: n}, tableRoot{}, true
	}
	return RootField{}, tableRoot{}, false
}

// findTableRoot searches the tables under a namespace, or under none.
func (s *Schema) findTableRoot(op ast.Operation, name, namespace string) (RootField, tableRoot, bool) {
	for _, t := range s.model.Tables {
		if t.Naming.Namespace != namespace {
			continue
		}
		for _, r := range s.rootsOf(op) {
			if r.name(t) == name && name != "" && r.visible(s, t) {
				return RootField{Kind: r.kind, Table: t}, r, true
			}
		}
	}
	f, ok := s.findOther(op, name, namespace)
	return f, tableRoot{}, ok
}

// RootDefinition is the root type of op with only the fields that are asked for
// and exist (and the meta fields); nil when the role has no such root.
func (s *Schema) RootDefinition(op ast.Operation, names []string) *ast.Definition {
	var d *ast.Definition
	switch {
	case op == ast.Query:
		d = &ast.Definition{Kind: ast.Object, Name: QueryRoot}
	case s.any(op):
		d = &ast.Definition{Kind: ast.Object, Name: s.RootType(op)}
	default:
		return nil
	}
	for _, name := range names {
		if d.Fields.ForName(name) != nil {
			continue
		}
		if f, r, ok := s.findRoot(op, name); ok && f.Table != nil {
			d.Fields = append(d.Fields, r.definition(s, f.Table))
		} else if ok && f.Kind == NodeRoot {
			d.Fields = append(d.Fields, nodeRootField())
		} else if ok && (f.Kind == EntitiesRoot || f.Kind == ServiceRoot) {
			d.Fields = append(d.Fields, s.federationRoot(name))
		} else if ok && f.Naming != nil {
			d.Fields = append(d.Fields, s.namespaceField(op, f.Naming))
		} else if ok && f.Action == nil {
			d.Fields = append(d.Fields, otherField(f))
		} else if ok {
			d.Fields = append(d.Fields, actionField(f.Action, op))
		} else if op == ast.Query && name == NoQueriesField && !s.any(op) {
			d.Fields = append(d.Fields, noQueries)
		}
	}
	if op == ast.Query && s.Introspection() {
		d.Fields = append(d.Fields, builtin().introspection...)
	}
	return d
}

var noQueries = &ast.FieldDefinition{Name: NoQueriesField, Type: named("String"),
	Description: NoQueriesMessage}

// any reports whether the role has a root field of op.
func (s *Schema) any(op ast.Operation) bool {
	for _, t := range s.model.Tables {
		for _, r := range s.rootsOf(op) {
			if r.name(t) != "" && r.visible(s, t) {
				return true
			}
		}
	}
	for _, a := range s.model.Actions {
		if s.shows(a, op) {
			return true
		}
	}
	return s.anyOther(op, "") || len(s.namespaceFields(op)) > 0 || op == ast.Query && len(s.federationRoots()) > 0
}

func (s *Schema) rootFields(op ast.Operation) ast.FieldList {
	fields := append(s.namespaceFields(op), s.otherFields(op, "")...)
	if op == ast.Query && len(s.nodes()) > 0 {
		fields = append(fields, nodeRootField())
	}
	if op == ast.Query {
		fields = append(fields, s.federationRoots()...)
	}
	for _, t := range s.model.Tables {
		if t.Naming.Namespace != "" {
			continue
		}
		for _, r := range s.rootsOf(op) {
			if r.name(t) != "" && r.visible(s, t) {
				fields = append(fields, r.definition(s, t))
			}
		}
	}
	for _, a := range s.model.Actions {
		if s.shows(a, op) {
			fields = append(fields, actionField(a, op))
		}
	}
	return sortFields(fields)
}

func (s *Schema) queryRoot() *ast.Definition {
	d := &ast.Definition{Kind: ast.Object, Name: QueryRoot, Fields: s.rootFields(ast.Query)}
	if len(d.Fields) == 0 {
		d.Fields = ast.FieldList{noQueries}
	}
	return d
}

func (s *Schema) mutationRoot() *ast.Definition {
	d := &ast.Definition{Kind: ast.Object, Name: MutationRoot, Description: "mutation root", Fields: s.rootFields(ast.Mutation)}
	if len(d.Fields) == 0 {
		return nil
	}
	return d
}

// subscriptionRoot has the results of asynchronous actions.
func (s *Schema) subscriptionRoot() *ast.Definition {
	d := &ast.Definition{Kind: ast.Object, Name: SubscriptionRoot, Fields: s.rootFields(ast.Subscription)}
	if len(d.Fields) == 0 {
		return nil
	}
	return d
}
