package executor

import (
	"context"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/services/engine/action"
	"tenantry/services/engine/source"
	"tenantry/tenants/model"
)

// Executor runs programs for one instance of a project.
type Executor struct {
	// Sources by name; the instance owns them.
	Sources map[string]*source.Source
	Caller  *action.Caller
	Types   map[string]*model.Type
	// Runs keeps the runs of asynchronous actions; nil where there are none.
	Runs Runs
	// Policy yields the late-bound values of its filters; may be nil.
	Policy Policy
	// Observe hears of every statement and action call; may be nil.
	Observe Observer
}

// Policy is asked for values that depend on the session, as Postgres reads them;
// nil is NULL.
type Policy interface {
	Late(ctx context.Context, s session.Session, name string) (*string, error)
}

// Runs keeps the runs of asynchronous actions.
type Runs interface {
	// Queue keeps a call, to be made later, and returns the id of its run.
	Queue(ctx context.Context, call action.Call) (id string, err error)
	// Find returns a run as an object with the fields that it has in the schema;
	// nil when there is none that the session may see.
	Find(ctx context.Context, action, id string, s session.Session) (map[string]any, error)
}

// Observer hears what a request did, for metrics and the audit.
type Observer interface {
	Statement(ctx context.Context, s Statement)
	// ActionStarted is called before a webhook call; what it returns, after it.
	ActionStarted() (done func())
	Action(ctx context.Context, call ActionCall)
}

// Statement tells of statements that were sent in one round trip.
type Statement struct {
	Source string
	Count  int
	Took   time.Duration
	Err    error
}

// ActionCall tells of one webhook call.
type ActionCall struct {
	Action string
	// Query is true for an action that only reads.
	Query   bool
	Session session.Session
	Result  action.Result
	Err     error
	// RequestID ties the call to the request in the audit.
	RequestID string
}

// Request is what a program is run with.
type Request struct {
	Session   session.Session
	Variables map[string]any // coerced
	// Query is the client's text, verbatim, for handlers.
	Query       string
	RequestID   string
	TraceParent string
	// ClientHeaders are forwarded to handlers that ask for them.
	ClientHeaders []graphqlhttp.Header
	// IdempotencyKey is the client's, for handlers; empty for none. Delivery then
	// identifies the request whenever it runs again: webhook-ids follow from it.
	IdempotencyKey, Delivery string
	// Examples, when set, stand for what handlers answer, by action: none is called.
	Examples map[string][]byte
}

// Result is the data of a response.
type Result struct {
	// Body is the whole response, {"data":{…}}, owned by the caller.
	Body []byte
	// Headers for the client (Set-Cookie of a handler).
	Headers []graphqlhttp.Header
	// Asked is the run that a query of an asynchronous action asked for.
	Asked Asked
}

// Asked is a run that was asked for, and what came of it.
type Asked struct {
	// Run is its id as the client gave it; empty when none was asked for.
	Run string
	// Missing says that the session may not see it, or there is none.
	Missing bool
	// Joined says that rows were read for its output.
	Joined bool
}

// Run runs a program. Any error means that there is no data; table steps of a
// mutation that ran in the same transaction are undone.
func (x *Executor) Run(ctx context.Context, p *Program, r Request) (Result, error) {
	run := &run{Executor: x, program: p, request: r, values: values{variables: r.Variables}}
	run.values.session = &run.request.Session
	if p.late {
		run.values.late = x.late(ctx, r.Session)
	}
	if p.begin != nil {
		body, err := run.only(ctx)
		return Result{Body: body}, err
	}
	run.parts = make([][]byte, len(p.steps))
	var err error
	if p.Plan.Mutation {
		err = run.mutation(ctx)
	} else {
		err = run.query(ctx)
	}
	if err == nil && p.attaches {
		err = run.attachAll(ctx)
	}
	if err != nil {
		return Result{}, err
	}
	return Result{Body: run.body(), Headers: run.headers, Asked: run.asked}, nil
}

func (x *Executor) late(ctx context.Context, s session.Session) func(string) (*string, error) {
	return func(name string) (*string, error) {
		if x.Policy == nil {
			return nil, errcode.New(errcode.PermissionDenied, "not permitted").At("$")
		}
		return x.Policy.Late(ctx, s, name)
	}
}

// run is one execution: the parts of the response as they come.
type run struct {
	*Executor
	program *Program
	request Request
	values  values
	parts   [][]byte // JSON by field
	headers []graphqlhttp.Header
	asked   Asked
}

// body writes the response, fields in the order of the plan.
func (r *run) body() []byte {
	size := len(graphqlhttp.DataBegin) + len(graphqlhttp.DataEnd)
	for i, part := range r.parts {
		f := &r.program.Plan.Fields[i]
		size += len(part) + len(f.Key) + len(f.Group) + 8
	}
	out := append(make([]byte, 0, size), graphqlhttp.DataBegin...)
	members := 0 // of the object that is being written
	group := ""
	for i, part := range r.parts {
		f := &r.program.Plan.Fields[i]
		if f.Group != group && group != "" {
			out = append(out, '}')
			members = 1
		}
		if f.Group != group && f.Group != "" {
			out = append(appendKey(out, min(i, 1), f.Group), '{')
			members = 0
		}
		group = f.Group
		out = append(appendKey(out, members, f.Key), part...)
		members++
	}
	if group != "" {
		out = append(out, '}')
	}
	return append(out, graphqlhttp.DataEnd...)
}

// only runs a query of one table field: what Postgres answers is written once,
// right into the response.
func (r *run) only(ctx context.Context) ([]byte, error) {
	step := &r.program.steps[0]
	src, err := r.source(step.source)
	if err != nil {
		return nil, err
	}
	statement, err := r.values.bind(step.statement)
	if err != nil {
		return nil, err
	}
	statement.Begin, statement.Size = r.program.begin, int(r.program.size.Load())
	started := time.Now()
	body, err := src.One(ctx, statement)
	r.observe(ctx, Statement{Source: step.source, Count: 1, Took: time.Since(started), Err: err})
	if err != nil {
		return nil, at(err, "$")
	}
	body = append(body, graphqlhttp.DataEnd...)
	r.program.size.Store(int64(len(body)))
	return body, nil
}

// query runs the table fields of each source in one round trip, then actions.
func (r *run) query(ctx context.Context) error {
	for i, f := range r.program.Plan.Fields {
		if f.Constant != nil {
			r.parts[i] = f.Constant
		}
	}
	for _, read := range r.program.reads {
		if err := r.read(ctx, read.source, read.fields); err != nil {
			return err
		}
	}
	for i, f := range r.program.Plan.Fields {
		var err error
		switch {
		case f.Entities != nil:
			err = r.entities(ctx, i, f)
		case f.Action != nil:
			err = r.action(ctx, i, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *run) read(ctx context.Context, name string, fields []int) error {
	src, err := r.source(name)
	if err != nil {
		return err
	}
	statements := make([]source.Bound, len(fields))
	for n, i := range fields {
		if statements[n], err = r.values.bind(r.program.steps[i].statement); err != nil {
			return err
		}
	}
	started := time.Now()
	results, err := src.Query(ctx, statements)
	r.observe(ctx, Statement{Source: name, Count: len(statements), Took: time.Since(started), Err: err})
	if err != nil {
		return at(err, "$")
	}
	for n, i := range fields {
		r.parts[i] = results[n]
	}
	return nil
}

func (r *run) source(name string) (*source.Source, error) {
	src, ok := r.Sources[name]
	if !ok {
		return nil, errcode.New(errcode.ConnectionFailed, "source %q has no connection", name).At("$")
	}
	return src, nil
}

func (r *run) observe(ctx context.Context, s Statement) {
	if r.Observe != nil {
		r.Observe.Statement(ctx, s)
	}
}

// at gives a public error a path, unless it has one.
func at(err error, path string) error {
	e := errcode.From(err)
	if e.Path != "" {
		return e
	}
	return e.At(path)
}
