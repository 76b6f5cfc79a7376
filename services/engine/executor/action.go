package executor

import (
	"context"

	"tenantry/api/errcode"
	"tenantry/policy/delegation"
	"tenantry/services/engine/action"
	"tenantry/services/engine/plan"
	"tenantry/tenants/model"
)

// action calls the webhook of field i, joins its answer and writes its part.
func (r *run) action(ctx context.Context, i int, f plan.Field) error {
	call := action.Call{
		Action: f.Action.Action, Types: r.Types, Input: Arguments(f.Arguments, r.request.Variables), Session: r.request.Session, Query: r.request.Query,
		RequestID: r.request.RequestID, TraceParent: r.request.TraceParent, ClientHeaders: r.request.ClientHeaders,
		IdempotencyKey: r.request.IdempotencyKey, ID: action.CallID(r.request.Delivery, i),
	}
	if err := action.CheckInput(call.Input); err != nil {
		return at(err, "$.selectionSet."+f.Name+".args")
	}
	if r.request.Examples != nil {
		return r.example(ctx, i, f.Action, call)
	}
	if call.Action.Async {
		return r.asynchronous(ctx, i, f.Action, call)
	}
	result, err := r.Deliver(ctx, call)
	if err != nil {
		return at(err, "$")
	}
	r.headers = append(r.headers, result.Headers...)
	return r.answer(ctx, i, f.Action, result.Output)
}

// Deliver calls an action's handler once, observed.
func (x *Executor) Deliver(ctx context.Context, call action.Call) (action.Result, error) {
	done := func() {}
	if x.Observe != nil {
		done = x.Observe.ActionStarted()
	}
	result, err := x.Caller.Call(ctx, call)
	done()
	if x.Observe != nil {
		x.Observe.Action(ctx, ActionCall{Action: call.Action.Name, Query: call.Action.Query, Session: call.Session, Result: result, Err: err, RequestID: call.RequestID})
	}
	return result, err
}

// answer joins what a handler answered with the database and writes part i.
func (r *run) answer(ctx context.Context, i int, a *plan.Action, output any) (err error) {
	if a.Selection == nil {
		r.parts[i], err = appendJSON(nil, output)
		return err
	}
	tree := &level{parts: a.Selection}
	root := tree.add(output)
	if err := r.join(ctx, tree); err != nil {
		return err
	}
	r.parts[i], err = root.append(nil)
	return err
}

// asynchronous queues a run, or finds one: as the client asks by a mutation, or by
// a query or subscription. What is joined is read when the result is, with the asker's permissions.
func (r *run) asynchronous(ctx context.Context, i int, a *plan.Action, call action.Call) error {
	if r.Runs == nil {
		return errcode.New(errcode.NotSupported, "asynchronous actions are not served here").At("$")
	}
	if r.program.Plan.Mutation {
		if err := delegation.CheckCall(call.Session); err != nil {
			return err.At("$")
		}
		id, err := r.Runs.Queue(ctx, call)
		if err != nil {
			return at(err, "$")
		}
		r.parts[i], err = appendJSON(nil, id)
		return err
	}
	id, _ := call.Input[model.RunID].(string)
	found, err := r.Runs.Find(ctx, call.Action.Name, id, r.request.Session)
	if err != nil {
		return at(err, "$")
	}
	r.asked = Asked{Run: id, Missing: found == nil}
	if found == nil {
		r.parts[i] = []byte("null")
		return nil
	}
	return r.answer(ctx, i, a, found)
}

// Arguments are an input's values with the variables put in. What the client
// left out stays absent; an explicit null stays null.
func Arguments(arguments []plan.Argument, variables map[string]any) map[string]any {
	out := make(map[string]any, len(arguments))
	for _, a := range arguments {
		if v, ok := inputValue(a.Value, variables); ok {
			out[a.Name] = v
		}
	}
	return out
}

func inputValue(v plan.Value, variables map[string]any) (any, bool) {
	switch v.Kind {
	case plan.VariableValue:
		value, ok := variables[v.Variable]
		return value, ok
	case plan.ListValue:
		list := make([]any, 0, len(v.List))
		for _, item := range v.List {
			value, ok := inputValue(item, variables)
			if !ok {
				value = nil // the specification: an absent variable in a list is null
			}
			list = append(list, value)
		}
		return list, true
	case plan.ObjectValue:
		return Arguments(v.Object, variables), true
	}
	return v.Literal, true
}

// level is one selection set over all output objects at one place of the answer
// (also those in lists, at any depth), so that a relationship of it is read
// once for all of them.
type level struct {
	parts    []plan.Part
	objects  []map[string]any
	children []*level   // by part; nil without nested parts
	nested   [][]node   // by part, by object
	joined   [][][]byte // by part, by object: JSON of a join
}

// node is the shape of one value in the answer.
type node struct {
	level *level
	index int // of the object in its level
	list  []node
	kind  nodeKind
	value any
}

type nodeKind uint8

const (
	nullNode nodeKind = iota
	objectNode
	listNode
	valueNode
)

// add puts a value of the handler's answer into the level.
func (l *level) add(value any) node {
	switch v := value.(type) {
	case nil:
		return node{}
	case []any:
		out := node{kind: listNode, list: make([]node, len(v))}
		for i, item := range v {
			out.list[i] = l.add(item)
		}
		return out
	case map[string]any:
		if l.children == nil {
			l.children = make([]*level, len(l.parts))
			l.nested = make([][]node, len(l.parts))
			l.joined = make([][][]byte, len(l.parts))
		}
		index := len(l.objects)
		l.objects = append(l.objects, v)
		for i, part := range l.parts {
			if part.Parts == nil {
				continue
			}
			if l.children[i] == nil {
				l.children[i] = &level{parts: part.Parts}
			}
			l.nested[i] = append(l.nested[i], l.children[i].add(v[part.Field]))
		}
		return node{kind: objectNode, level: l, index: index}
	}
	return node{kind: valueNode, value: value}
}

// join reads the relationships of a level and of those below it: one statement
// per relationship, however many objects there are.
func (r *run) join(ctx context.Context, l *level) error {
	for i, part := range l.parts {
		if len(l.objects) == 0 {
			return nil
		}
		if part.Join != nil {
			r.asked.Joined = true
			var err error
			if l.joined[i], err = r.joinPart(ctx, part.Join, l.objects); err != nil {
				return err
			}
		}
		if child := l.children[i]; child != nil {
			if err := r.join(ctx, child); err != nil {
				return err
			}
		}
	}
	return nil
}

// joinPart reads one relationship for all objects.
func (r *run) joinPart(ctx context.Context, j *plan.Join, objects []map[string]any) ([][]byte, error) {
	keys := newKeys(j)
	positions := make([]int, len(objects))
	for i, object := range objects {
		values := make([]any, len(j.Fields))
		for n, name := range j.Fields {
			values[n] = object[name]
		}
		var err error
		if positions[i], err = keys.add(values); err != nil {
			return nil, errcode.New(errcode.Unexpected, "fields %q of the action webhook response can't be joined", j.Fields).Because(err)
		}
	}
	found, err := r.joined(ctx, keys)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(objects))
	for i, position := range positions {
		out[i] = keys.value(found, position)
	}
	return out, nil
}

// append writes a node as the client selected it.
func (n node) append(out []byte) ([]byte, error) {
	switch n.kind {
	case nullNode:
		return append(out, "null"...), nil
	case valueNode:
		return appendJSON(out, n.value)
	case listNode:
		out = append(out, '[')
		var err error
		for i, item := range n.list {
			if i > 0 {
				out = append(out, ',')
			}
			if out, err = item.append(out); err != nil {
				return out, err
			}
		}
		return append(out, ']'), nil
	}
	return n.level.appendObject(out, n.index)
}

func (l *level) appendObject(out []byte, index int) ([]byte, error) {
	out = append(out, '{')
	var err error
	written := 0
	for i, part := range l.parts {
		if _, there := l.objects[index][part.Field]; part.Sparse && !there {
			continue
		}
		out = appendKey(out, written, part.Key)
		written++
		switch {
		case part.Text != nil:
			out, err = appendJSON(out, *part.Text)
		case part.Join != nil:
			out = append(out, l.joined[i][index]...)
		case part.Parts != nil:
			out, err = l.nested[i][index].append(out)
		default:
			out, err = appendJSON(out, l.objects[index][part.Field])
		}
		if err != nil {
			return out, err
		}
	}
	return append(out, '}'), nil
}
