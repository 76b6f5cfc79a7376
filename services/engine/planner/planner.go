// Package planner turns a valid operation into a plan: which rows, which
// filters, which parameters. It is pure: no database, clock or context; values
// of variables are bound later, so a plan can be cached.
//
// It reads the structure of variables (which members an object has, a Boolean,
// an enum), never the scalars in them; Shape tells which structure, and belongs
// to the key of every cache of plans.
package planner

import (
	"encoding/json"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/api/errcode"
	"tenantry/policy/access"
	"tenantry/policy/filter"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/schema"
	"tenantry/tenants/model"
)

// Plan plans op as role sees it. vars are the coerced variables. Errors are
// *errcode.Error with the place in the operation.
func Plan(op *operation.Operation, s *schema.Schema, role *access.Role, vars map[string]any) (*plan.Plan, error) {
	p := &planner{op: op, schema: s, role: role, vars: vars}
	out := &plan.Plan{Mutation: op.Type == ast.Mutation}
	fields := op.Fields(op.Def.SelectionSet, vars, s.RootType(op.Type))
	if op.Type == ast.Subscription && (len(fields) != 1 || fields[0].Name == "__typename") {
		return nil, errcode.New(errcode.ValidationFailed, "subscriptions must select one top level field").At("$")
	}
	for _, f := range fields {
		roots, err := p.roots(f)
		if err != nil {
			return nil, err
		}
		out.Fields = append(out.Fields, roots...)
	}
	return out, nil
}

type planner struct {
	op     *operation.Operation
	schema *schema.Schema
	role   *access.Role
	vars   map[string]any
	pieces int // conditions, sort keys and updates that were planned
}

// maxPieces bounds what variables can multiply. A document has a limit of tokens; a
// variable of a megabyte has room for 20 000 conditions, which cost the processors of
// the engine and of the database a fifth of a second each.
const maxPieces = 5000

// piece counts what becomes a piece of SQL of its own.
func (p *planner) piece(path string) error {
	if p.pieces++; p.pieces > maxPieces {
		return errcode.New(errcode.ValidationFailed, "the operation has more than %d conditions, sort keys and updates", maxPieces).At(path)
	}
	return nil
}

// root plans one root field.
func (p *planner) root(f *operation.Field) (plan.Field, error) {
	out := plan.Field{Key: f.Key, Name: f.Name, Arguments: arguments(f)}
	path := "$.selectionSet." + f.Name
	switch f.Name {
	case "__typename":
		name, err := json.Marshal(p.schema.RootType(p.op.Type))
		out.Constant = name
		return out, err
	case "__schema", "__type":
		text, err := p.op.Introspect(p.schema, f, p.vars)
		out.Constant = text
		return out, err
	case schema.NoQueriesField:
		out.Constant = []byte(`"` + schema.NoQueriesMessage + `"`)
		return out, nil
	}
	root, ok := p.schema.Root(p.op.Type, f.Name)
	if !ok { // validated before
		return out, errcode.New(errcode.ValidationFailed, "field '%s' not found in type: '%s'", f.Name, p.schema.RootType(p.op.Type)).At(path)
	}
	return p.resolved(out, root, f, path)
}

// resolved plans a root field that was found in the schema.
func (p *planner) resolved(out plan.Field, root schema.RootField, f *operation.Field, path string) (plan.Field, error) {
	var err error
	if root.Action != nil {
		out.Resource = plan.Resource{Kind: "action", Name: root.Action.Name}
		out.Action, err = p.action(root.Action, f, path)
		return out, err
	}
	switch root.Kind {
	case schema.NodeRoot:
		return p.node(out, f, path)
	case schema.EntitiesRoot:
		return p.entities(out, f, path)
	case schema.ServiceRoot:
		return p.service(out, f)
	}
	if root.Table == nil {
		err = p.otherRoot(&out, root, f, path)
		return out, err
	}
	err = p.tableRoot(&out, root, f, path)
	out.Resource = plan.Resource{
		Kind: "table", Source: root.Table.Source, Schema: root.Table.Name.Schema, Name: root.Table.Name.Name,
		Columns: out.Columns(),
	}
	return out, err
}

func (p *planner) tableRoot(out *plan.Field, root schema.RootField, f *operation.Field, path string) (err error) {
	switch root.Kind {
	case schema.Select:
		out.Select, err = p.list(root.Table, f, path)
	case schema.SelectAggregate:
		out.Select, err = p.aggregate(root.Table, f, path)
	case schema.Connection:
		out.Select, err = p.connection(root.Table, f, path)
	case schema.SelectByPK:
		out.Select, err = p.byPK(root.Table, f, path)
	case schema.Insert, schema.InsertOne:
		out.Insert, err = p.insert(out, root.Table, f, path, root.Kind == schema.InsertOne)
	case schema.Update, schema.UpdateByPK:
		out.Update, err = p.update(out, root.Table, f, path, root.Kind == schema.UpdateByPK)
	case schema.UpdateMany:
		out.Updates, err = p.updateMany(out, root.Table, f, path)
	case schema.Delete, schema.DeleteByPK:
		out.Delete, err = p.delete(out, root.Table, f, path, root.Kind == schema.DeleteByPK)
	default:
		err = errcode.New(errcode.NotSupported, "field '%s' is not supported by this version", f.Name).At(path)
	}
	return err
}

// keyCondition compares all primary key columns with the arguments of a by_pk
// field.
func (p *planner) keyCondition(t *model.Table, value func(name string) (input, bool), path string) (filter.Expr, error) {
	var all filter.And
	for _, c := range t.PrimaryKey {
		in, ok := value(c.Name)
		if !ok || in.null() {
			return nil, unexpectedNull(c.Scalar, path+"."+c.Name)
		}
		v, err := in.param(c.Type, path+"."+c.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, filter.Compare{Left: p.operand(t, c), Op: filter.Eq, Right: v})
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}
