package instance

import (
	"context"
	"strings"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/policy/allowlist"
	"tenantry/policy/authz"
	"tenantry/policy/limits"
	"tenantry/services/engine/executor"
	"tenantry/services/engine/jsonquery"
)

// Command is one command of the JSON data language with what the edge knows of it.
type Command struct {
	// Type is select, count, insert, update or delete; Args its arguments as JSON.
	Type          string
	Args          []byte
	ID            string // x-request-id
	TraceParent   string
	ClientHeaders []graphqlhttp.Header
}

// ExecuteCommand runs a command of the JSON data language for a session, by the
// stages of Execute. The answer is JSON; errors are *errcode.Error, also in the
// trail, and their paths are those of a command.
func (i *Instance) ExecuteCommand(ctx context.Context, s session.Session, c Command) ([]byte, Trail, error) {
	trail := Trail{Role: s.Role, started: time.Now(), Type: "mutation", requestID: c.ID}
	if jsonquery.Reads(c.Type) {
		trail.Type = "query"
	}
	answer, err := i.executeCommand(ctx, s, c, &trail)
	trail.finish(err)
	i.logRefusal(s, c.ID, &trail)
	if err != nil {
		return nil, trail, trail.Err
	}
	return answer, trail, nil
}

func (i *Instance) executeCommand(ctx context.Context, s session.Session, c Command, trail *Trail) ([]byte, error) {
	if err := i.enter(ctx, trail); err != nil {
		return nil, err
	}
	defer i.outside.Quota.Leave()
	if err := i.checkRate(ctx, s, trail); err != nil {
		return nil, err
	}
	// A command is no operation in GraphQL, so it can't be in the list.
	if i.allowlist.Active(s.Role) {
		if err := i.checkListed(s, allowlist.Shape{Name: c.Type}, trail); err != nil {
			return nil, err
		}
	}
	command, err := jsonquery.Read(c.Type, c.Args)
	if err != nil {
		return nil, err
	}
	role, _ := i.Access.Role(s.Role)
	planned, err := command.Plan(jsonquery.View{
		Model: i.Model, Role: i.narrowed(role, trail.Type), BackendOnly: s.BackendOnly, Stringify: i.Settings.Compat.StringifyNumericTypes,
	})
	if err != nil {
		return nil, err
	}
	program := executor.Compile(planned.Plan)
	trail.program(program)
	if err := i.limited(s, trail, limits.Check(i.Document.APILimits, s, limits.Measure{Depth: planned.Depth, Nodes: planned.Nodes})); err != nil {
		return nil, err
	}
	if err := i.checkCost(s, planned.Plan, planned.Variables, trail); err != nil {
		return nil, err
	}
	if err := i.spend(ctx, s, trail); err != nil {
		return nil, err
	}
	about := authz.Operation{Type: trail.Type}
	if err := i.decide(ctx, s, about, i.asks(s.Role, about, planned.Plan), planned.Variables, trail); err != nil {
		return nil, inCommand(err)
	}
	result, err := i.run(ctx, s, program, executor.Request{
		Session: s, Variables: planned.Variables, RequestID: c.ID, TraceParent: c.TraceParent, ClientHeaders: c.ClientHeaders,
	}, trail)
	if err != nil {
		return nil, inCommand(err)
	}
	return planned.Answer(graphqlhttp.Data(result.Body))
}

// inCommand places an error that the engine found in an operation.
func inCommand(err error) error {
	e := errcode.From(err)
	if e.Path == "" || e.Path == "$" || strings.HasPrefix(e.Path, "$.selectionSet.") {
		return e.At("$.args")
	}
	return e
}
