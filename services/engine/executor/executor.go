package executor

import (
	"context"
	"encoding/json"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/services/engine/action"
	"tenantry/services/engine/dialect"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/source"
	"tenantry/tenants/model"
)

// Executor runs programs for one instance of a project.
type Executor struct {
	// Sources by name; the instance owns them.
	Sources map[string]*source.Source
	Caller  *action.Caller
	Types   map[string]*model.Type
	// Observe hears of every statement and action call; may be nil.
	Observe Observer
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
	Action  string
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
}

// Result is the data of a response.
type Result struct {
	// Data is a JSON object, owned by the caller.
	Data []byte
	// Headers for the client (Set-Cookie of a handler).
	Headers []graphqlhttp.Header
}

// Run runs a program. Any error means that there is no data; table steps of a
// mutation that ran in the same transaction are undone.
func (x *Executor) Run(ctx context.Context, p *Program, r Request) (Result, error) {
	run := &run{Executor: x, program: p, request: r, values: values{session: r.Session, variables: r.Variables}, parts: make([][]byte, len(p.steps))}
	var err error
	if p.Plan.Mutation {
		err = run.mutation(ctx)
	} else {
		err = run.query(ctx)
	}
	if err != nil {
		return Result{}, err
	}
	return Result{Data: run.data(), Headers: run.headers}, nil
}

// run is one execution: the parts of the response as they come.
type run struct {
	*Executor
	program *Program
	request Request
	values  values
	parts   [][]byte // JSON by field
	headers []graphqlhttp.Header
}

func (r *run) data() []byte {
	size := 2
	for i, part := range r.parts {
		size += len(part) + len(r.program.Plan.Fields[i].Key) + 4
	}
	out := append(make([]byte, 0, size), '{')
	for i, part := range r.parts {
		out = append(appendKey(out, i, r.program.Plan.Fields[i].Key), part...)
	}
	return append(out, '}')
}

// query runs the table fields of each source in one round trip, then actions.
func (r *run) query(ctx context.Context) error {
	bySource := map[string][]int{}
	var order []string
	for i, f := range r.program.Plan.Fields {
		switch {
		case f.Constant != nil:
			r.parts[i] = f.Constant
		case f.Select != nil:
			if bySource[f.Select.Source] == nil {
				order = append(order, f.Select.Source)
			}
			bySource[f.Select.Source] = append(bySource[f.Select.Source], i)
		}
	}
	for _, name := range order {
		if err := r.read(ctx, name, bySource[name]); err != nil {
			return err
		}
	}
	for i, f := range r.program.Plan.Fields {
		if f.Action == nil {
			continue
		}
		if err := r.action(ctx, i, f); err != nil {
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

// mutation runs fields in order. Table fields that follow one another on the
// same source share a transaction; an action ends it, because what a webhook
// did can't be undone and it must see what was written before.
func (r *run) mutation(ctx context.Context) error {
	fields := r.program.Plan.Fields
	for i := 0; i < len(fields); {
		f := fields[i]
		switch {
		case f.Constant != nil:
			r.parts[i] = f.Constant
			i++
		case f.Action != nil:
			if err := r.action(ctx, i, f); err != nil {
				return err
			}
			i++
		default:
			end := r.group(i)
			if err := r.write(ctx, i, end); err != nil {
				return err
			}
			i = end
		}
	}
	return nil
}

// group ends before the first field after i that doesn't belong to the same
// transaction.
func (r *run) group(i int) int {
	name := r.program.steps[i].source
	end := i + 1
	for end < len(r.program.steps) && (r.program.steps[end].source == name || r.program.Plan.Fields[end].Constant != nil) {
		end++
	}
	return end
}

func (r *run) write(ctx context.Context, from, to int) error {
	name := r.program.steps[from].source
	src, err := r.source(name)
	if err != nil {
		return err
	}
	var writes []int
	for i := from; i < to; i++ {
		switch f := r.program.Plan.Fields[i]; {
		case f.Constant != nil:
			r.parts[i] = f.Constant
		case empty(f.Insert):
			r.parts[i] = nothingInserted(f.Insert)
		default:
			writes = append(writes, i)
		}
	}
	if len(writes) == 0 {
		return nil
	}
	return src.Transaction(ctx, func(ctx context.Context, tx *source.Tx) error {
		for _, i := range writes {
			if err := r.writeOne(ctx, tx, i, name); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *run) writeOne(ctx context.Context, tx *source.Tx, i int, name string) error {
	st := r.program.steps[i]
	value, held, err := r.writeStatement(ctx, tx, st.statement, r.values, name)
	if err != nil {
		return at(err, st.errorPath)
	}
	if !held {
		return errcode.New(errcode.PermissionError, "check constraint of an insert/update permission has failed").At(st.checkPath)
	}
	if st.answer.SQL != "" {
		v := r.values
		v.written = string(value)
		if value, _, err = r.writeStatement(ctx, tx, st.answer, v, name); err != nil {
			return at(err, st.errorPath)
		}
	}
	r.parts[i] = value
	return nil
}

func (r *run) writeStatement(ctx context.Context, tx *source.Tx, st dialect.Statement, v values, name string) (value []byte, held bool, err error) {
	bound, err := v.bind(st)
	if err != nil {
		return nil, false, err
	}
	started := time.Now()
	value, held, err = tx.Write(ctx, bound)
	r.observe(ctx, Statement{Source: name, Count: 1, Took: time.Since(started), Err: err})
	return value, held, err
}

// nothingInserted answers an insert of no objects, for which there is no SQL.
func nothingInserted(in *plan.Insert) []byte {
	out := []byte{'{'}
	for i, m := range in.Returning.Members {
		out = appendKey(out, i, m.Key)
		switch {
		case m.AffectedRows:
			out = append(out, '0')
		case m.Text != nil:
			text, _ := json.Marshal(*m.Text) // a GraphQL name
			out = append(out, text...)
		default:
			out = append(out, "[]"...)
		}
	}
	return append(out, '}')
}
