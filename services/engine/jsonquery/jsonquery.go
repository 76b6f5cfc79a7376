// Package jsonquery plans the commands of the JSON data language: select, count,
// insert, update and delete, whose names are those of the database. It is a second
// front end beside services/engine/planner: what it makes is the same plan, run by
// the same executor under the same permissions, so there is no second writer of
// SQL.
//
// It is pure: no database, clock or context. A plan is made for one command and
// not kept; its values are parameters all the same. Errors are *errcode.Error with
// the dialect's codes; what is wrong with the form is said at $, what the role or
// the table refuses at $.args.
package jsonquery

import (
	"encoding/json"

	"tenantry/api/errcode"
	"tenantry/policy/access"
	"tenantry/services/engine/plan"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// Command is one command as it was sent.
type Command struct {
	Type   string
	Source string
	Table  metadata.TableName

	args object
}

// commands by name.
var commands = map[string]func(c *planning) error{
	"select": (*planning).selection, "count": (*planning).count,
	"insert": (*planning).insert, "update": (*planning).update, "delete": (*planning).delete,
}

// Reads reports whether the command of that name changes nothing.
func Reads(name string) bool { return name == "select" || name == "count" }

// Read reads a command's arguments.
func Read(name string, args []byte) (*Command, error) {
	o, err := decode(args)
	if err != nil {
		return nil, err
	}
	c := &Command{Type: name, Source: metadata.DefaultSource, args: o}
	if value, ok := o.given("source"); ok {
		if c.Source, ok = value.(string); !ok {
			return nil, wrongForm("$.source", "a string")
		}
	}
	table, ok := o.given("table")
	if !ok {
		return nil, missing("table")
	}
	text, err := json.Marshal(table)
	if err != nil {
		return nil, err
	}
	if err := c.Table.UnmarshalJSON(text); err != nil {
		return nil, wrongForm("$.table", "a table's name or {schema, name}")
	}
	return c, nil
}

// View is whom a command is planned for.
type View struct {
	Model *model.Model
	Role  *access.Role
	// BackendOnly lets permissions count that are for backends only.
	BackendOnly bool
	// Stringify answers numbers with more digits than a double as text.
	Stringify bool
}

// Planned is a command's plan: one field, and the values that it refers to.
type Planned struct {
	Plan      *plan.Plan
	Variables map[string]any
	// Depth and Nodes are its size as an operation in GraphQL would have it.
	Depth, Nodes int

	count bool
}

// Plan plans the command.
func (c *Command) Plan(v View) (*Planned, error) {
	p := &planning{View: v, command: c, variables: map[string]any{}}
	t, ok := v.Model.Table(c.Source, catalogName(c.Table))
	if !ok {
		return nil, p.noTable()
	}
	p.table = t
	if err := commands[c.Type](p); err != nil {
		return nil, err
	}
	f := &p.field
	f.Key = answerKey
	f.Resource = plan.Resource{Kind: "table", Source: t.Source, Schema: t.Name.Schema, Name: t.Name.Name, Columns: f.Columns()}
	f.Arguments = p.arguments()
	return &Planned{
		Plan:      &plan.Plan{Mutation: !Reads(c.Type), Fields: []plan.Field{*f}},
		Variables: p.variables, Depth: p.depth, Nodes: p.nodes, count: c.Type == "count",
	}, nil
}

// answerKey is the key of the only field.
const answerKey = "answer"

// Answer is what the command answers, from the data of its plan.
func (p *Planned) Answer(data []byte) ([]byte, error) {
	answer := data[len(`{"`+answerKey+`":`) : len(data)-1] // as the executor writes it: the rows are not read again
	if !p.count {
		return answer, nil
	}
	var aggregate map[string]json.RawMessage
	err := json.Unmarshal(answer, &aggregate)
	return aggregate[aggregateKey], err
}

// planning is one command on its way to a plan.
type planning struct {
	View
	command   *Command
	table     *model.Table
	field     plan.Field
	variables map[string]any
	// outputs counts what is selected, stars expanded.
	outputs      int
	depth, nodes int
}

// noTable is the refusal of a table that is not tracked. Who is no admin does not
// hear whether there is one.
func (p *planning) noTable() error {
	if !p.Role.Admin {
		return p.notAllowed(p.command.Type, p.command.Table)
	}
	path := "$.args"
	if p.command.Type != "insert" && p.command.Type != "count" {
		path = "$.args.table"
	}
	return errcode.New(errcode.NotExists, "table %q does not exist", p.command.Table.String()).At(path)
}

// notAllowed is the refusal of a role that lacks the permission.
func (p *planning) notAllowed(what string, t metadata.TableName) *errcode.Error {
	if what == "count" {
		what = "select"
	}
	return errcode.New(errcode.PermissionDenied, "%s on %q for role %q is not allowed. ", what, t.String(), p.Role.Name).At("$.args")
}

// readable is the role's permission to read the command's table; why says what it
// is needed for.
func (p *planning) readable(why string) (*access.Select, error) {
	allowed := p.Role.Table(p.table).Select
	if allowed == nil {
		e := p.notAllowed("select", p.command.Table)
		e.Message += why
		return nil, e
	}
	return allowed, nil
}

// writable judges a permission to write: whether there is one, and whether it is
// for backends only.
func (p *planning) writable(possible, permitted, backendOnly bool) error {
	switch {
	case p.Role.Admin && !possible:
		return errcode.New(errcode.NotSupported, "rows of %q can't be changed by %s", p.command.Table.String(), p.command.Type).At("$.args")
	case !permitted || !possible || backendOnly && !p.BackendOnly:
		return p.notAllowed(p.command.Type, p.command.Table)
	}
	return nil
}
