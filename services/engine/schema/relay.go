package schema

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/tenants/model"
)

// The kinds of root fields that only the Relay flavour has.
const (
	// Connection pages through a table, FunctionConnection through the rows of a
	// function.
	Connection         Kind = "connection"
	FunctionConnection Kind = "function_connection"
	// NodeRoot finds any row by its global id.
	NodeRoot Kind = "node"
)

// Names of the Relay flavour (contracts §1.11).
const (
	NodeInterface = "Node"
	NodeField     = "node"
	NodeID        = "id"
	PageInfo      = "PageInfo"
	First         = "first"
	Last          = "last"
	After         = "after"
	Before        = "before"

	connectionSuffix = "Connection"
	edgeSuffix       = "Edge"
)

// Relay reports whether this is the Relay flavour of the role's schema.
func (s *Schema) Relay() bool { return s.options.Relay }

// Node reports whether rows of a table are nodes: they are found again by their
// primary key, which the role may know as it is.
func (s *Schema) Node(t *model.Table) bool {
	if !s.options.Relay || len(t.PrimaryKey) == 0 || !s.selectable(t) {
		return false
	}
	for _, c := range t.PrimaryKey {
		if len(s.role.Table(t).Select.Cases(c)) > 0 {
			return false
		}
	}
	return true
}

// NodeTable finds the table of a node id: that of a source, or the first of the
// name.
func (s *Schema) NodeTable(source, schema, name string) (*model.Table, bool) {
	for _, t := range s.model.Tables {
		if t.Name.Schema == schema && t.Name.Name == name && (source == "" || t.Source == source) && s.Node(t) {
			return t, true
		}
	}
	return nil, false
}

// nodes are the tables whose rows are nodes.
func (s *Schema) nodes() []*model.Table {
	var out []*model.Table
	for _, t := range s.model.Tables {
		if s.Node(t) {
			out = append(out, t)
		}
	}
	return out
}

// ConnectionName is the field that pages through what the field of base lists.
func ConnectionName(n *model.Naming, base string) string {
	if n.Camel {
		return base + connectionSuffix
	}
	return base + "_connection"
}

// relayRoots are the query root fields of tables in the Relay flavour.
var relayRoots []tableRoot

func init() { // a literal would refer to itself through the builders
	relayRoots = []tableRoot{{
		kind: Connection,
		field: func(r *model.RootFields) model.RootField {
			return model.RootField{Name: r.Select.Name, Comment: r.Select.Comment}
		},
		visible: func(s *Schema, t *model.Table) bool { return s.Node(t) && s.role.Table(t).Select.Roots.Select },
		about:   "fetch data from the table: %q",
		build: func(_ *Schema, t *model.Table) (*ast.Type, ast.ArgumentDefinitionList) {
			return nonNull(t.TypeName(connectionSuffix)), connectionArguments(t)
		},
	}}
}

// firstArgument and lastArgument are shared, so that NonNegative recognises them.
var (
	firstArgument = &ast.ArgumentDefinition{Name: First, Description: "the number of rows from the start", Type: named("Int")}
	lastArgument  = &ast.ArgumentDefinition{Name: Last, Description: "the number of rows from the end", Type: named("Int")}
)

func connectionArguments(t *model.Table) ast.ArgumentDefinitionList {
	args := ast.ArgumentDefinitionList{
		{Name: After, Description: "rows behind this cursor", Type: named("String")},
		{Name: Before, Description: "rows before this cursor", Type: named("String")},
		firstArgument, lastArgument,
	}
	for _, a := range selectArguments(t) {
		if a != limitArgument && a != offsetArgument {
			args = append(args, a)
		}
	}
	return sortArguments(args)
}

// nodeRootField is the field node.
func nodeRootField() *ast.FieldDefinition {
	return &ast.FieldDefinition{Name: NodeField, Type: named(NodeInterface), Description: "finds a row by its global id",
		Arguments: ast.ArgumentDefinitionList{{Name: NodeID, Description: "A globally unique id", Type: nonNull("ID")}}}
}

// relayFields adds what the Relay flavour has to an object type.
func (s *Schema) relayFields(t *model.Table, d *ast.Definition) {
	for _, r := range t.Relationships {
		if r.Array && s.Node(r.Target) {
			d.Fields = append(d.Fields, &ast.FieldDefinition{
				Name: ConnectionName(t.Naming, r.Name), Description: "An array relationship connection",
				Type: nonNull(r.Target.TypeName(connectionSuffix)), Arguments: connectionArguments(r.Target),
			})
		}
	}
	if !s.Node(t) {
		return
	}
	d.Interfaces = []string{NodeInterface}
	id := &ast.FieldDefinition{Name: NodeID, Description: "A globally unique id", Type: nonNull("ID")}
	for i, f := range d.Fields {
		if f.Name == NodeID {
			d.Fields[i] = id
			return
		}
	}
	d.Fields = append(d.Fields, id)
}

// ConnectionOf finds the array relationship behind a connection's field.
func (s *Schema) ConnectionOf(t *model.Table, field string) (*model.Relationship, bool) {
	for _, r := range t.Relationships {
		if r.Array && s.Node(r.Target) && ConnectionName(t.Naming, r.Name) == field {
			return r, true
		}
	}
	return nil, false
}

// relayType makes the types of the Relay flavour; nil for other names.
func (s *Schema) relayType(name string) *ast.Definition {
	switch name {
	case NodeInterface:
		return &ast.Definition{Kind: ast.Interface, Name: name, Description: "An object with globally unique ID", Fields: ast.FieldList{
			{Name: NodeID, Description: "A globally unique identifier", Type: nonNull("ID")}}}
	case PageInfo:
		return &ast.Definition{Kind: ast.Object, Name: name, Fields: ast.FieldList{
			{Name: "endCursor", Type: nonNull("String")}, {Name: "hasNextPage", Type: nonNull("Boolean")},
			{Name: "hasPreviousPage", Type: nonNull("Boolean")}, {Name: "startCursor", Type: nonNull("String")}}}
	}
	for _, t := range s.nodes() {
		switch name {
		case t.TypeName(connectionSuffix):
			return &ast.Definition{Kind: ast.Object, Name: name, Description: fmt.Sprintf("A Relay connection object on %q", t.Name.Name),
				Fields: ast.FieldList{{Name: "edges", Type: nonNullListOf(t.TypeName(edgeSuffix))}, {Name: "pageInfo", Type: nonNull(PageInfo)}}}
		case t.TypeName(edgeSuffix):
			return &ast.Definition{Kind: ast.Object, Name: name,
				Fields: ast.FieldList{{Name: "cursor", Type: nonNull("String")}, {Name: "node", Type: nonNull(t.Type)}}}
		}
	}
	return nil
}

// relayOther turns a function's field into its connection; false when it has
// none.
func (s *Schema) relayOther(name string, f RootField) (string, RootField, bool) {
	switch {
	case !s.options.Relay || f.Function != nil && f.Function.Mutation:
		return name, f, true
	case f.Kind != FunctionRows || !f.Function.Set || !s.Node(f.Function.Target):
		return "", f, false
	}
	f.Kind = FunctionConnection
	return ConnectionName(f.Function.Target.Naming, name), f, true
}

func connectionOfFunction(f *model.Function) *ast.FieldDefinition {
	return &ast.FieldDefinition{
		Name: ConnectionName(f.Target.Naming, f.Field.Name), Description: f.Field.Comment, Type: nonNull(f.Target.TypeName(connectionSuffix)),
		Arguments: sortArguments(append(callArguments(&f.Callable), connectionArguments(f.Target)...)),
	}
}

// implement adds to a full schema that objects are nodes, and the objects that
// only node finds.
func (s *Schema) implement(full *ast.Schema) {
	for _, t := range s.nodes() {
		if full.Types[t.Type] == nil {
			s.reach(full, s.build(t.Type))
		}
		full.AddPossibleType(NodeInterface, full.Types[t.Type])
		full.AddImplements(t.Type, full.Types[NodeInterface])
	}
}
