package instance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/policy/allowlist"
	"tenantry/services/engine/executor"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/source"
	"tenantry/tenants/metadata"
)

// TestResult is what came of one of the metadata's permission tests.
type TestResult struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	// Executed is false when the operation was only judged: what may change
	// something is never run.
	Executed bool `json:"executed" doc:"False when the operation was only judged up to the point where it would run. Mutations of tables never run, and actions with the answers that the test gives alone."`
	// Differed says what was expected and what came instead.
	Differed string `json:"differed,omitempty" doc:"What was expected, and what came instead."`
}

// TestPermissions runs the permission tests of the metadata, in their order.
// Nothing is written anywhere and no handler is called: operations that may change
// something are only judged, actions run with the answers that the test has.
func (i *Instance) TestPermissions(ctx context.Context) []TestResult {
	out := make([]TestResult, len(i.Document.PermissionTests))
	for n, t := range i.Document.PermissionTests {
		out[n] = TestResult{Name: t.Name}
		out[n].Executed, out[n].Differed = i.testPermission(ctx, t)
		out[n].Passed = out[n].Differed == ""
	}
	return out
}

func (i *Instance) testPermission(ctx context.Context, t metadata.PermissionTest) (executed bool, differed string) {
	s := session.Session{Project: i.Project.ID, Role: t.Role, Variables: map[string]string{}, Auth: session.AuthJWT}
	for name, value := range t.SessionVariables {
		s.Variables[strings.ToLower(name)] = value
	}
	s.Variables[session.RoleVariable] = t.Role
	variables, err := numbered(t.Variables)
	if err != nil {
		return false, "expected variables to be an object"
	}
	// What can never run would be refused to everybody: such a test says nothing.
	if _, err := operation.ShapeOf(t.Query, t.OperationName, allowlist.Exact); err != nil {
		return false, "the operation can never run: " + errcode.From(err).Message
	}
	vars, _ := variables.(map[string]any)
	r := Request{Request: graphqlhttp.Request{Query: t.Query, OperationName: t.OperationName, Variables: vars}, Relay: t.Dialect == metadata.DialectRelay}
	j := i.judge(ctx, s, r)
	runs := j.Err == nil && j.Harmless
	if j.Err == nil && len(t.Answers) > 0 {
		if unfit := i.unfit(j.program, t.Answers); unfit != "" {
			return false, unfit
		}
		runs = true
	}
	e := t.Expect
	if runs {
		body, err := i.try(ctx, s, r, j, t.Answers)
		switch {
		case err == nil:
			return true, answered(e, body)
		case len(t.Answers) > 0 && e.Refused:
			return true, allowedInstead
		}
		executed, j.Err = true, errcode.From(err)
	}
	switch {
	case j.Err == nil && e.Refused:
		return executed, allowedInstead
	case j.Err == nil && (e.Rows != nil || e.Data != nil):
		return executed, "rows and data can be expected of what runs alone, which is queries, and actions with the answers of their handlers in answers: what may change something never runs"
	case j.Err == nil:
		return executed, ""
	case !e.Refused:
		return executed, fmt.Sprintf("expected it to be allowed, but got %s: %s", j.Err.Code, j.Err.Message)
	case e.Code != "" && e.Code != string(j.Err.Code):
		return executed, fmt.Sprintf("expected the code %s, but got %s: %s", e.Code, j.Err.Code, j.Err.Message)
	}
	return executed, ""
}

const allowedInstead = "expected a refusal, but the operation is allowed"

// unfit says why an operation can't run with answers that stand for those of
// handlers; empty when it can.
func (i *Instance) unfit(p *program, answers map[string]json.RawMessage) string {
	called := map[string]bool{}
	for _, f := range p.Plan.Fields {
		switch {
		case f.Action != nil && f.Action.Action.Async && p.Plan.Mutation:
			return fmt.Sprintf("the mutation of the asynchronous action %q answers an id: an answer can stand for its result in a query", f.Name)
		case f.Action != nil:
			called[f.Action.Action.Name] = true
		case f.Constant == nil && p.Plan.Mutation || i.callsVolatile(&plan.Plan{Fields: []plan.Field{f}}):
			return fmt.Sprintf("the operation can't run with answers: %q may change something", f.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		if !called[name] {
			return fmt.Sprintf("answers has one of the action %q, which the operation does not call", name)
		}
		delete(called, name)
	}
	for _, name := range slices.Sorted(maps.Keys(called)) {
		return fmt.Sprintf("expected an answer of the action %q in answers", name)
	}
	return ""
}

// try runs an operation that was judged and changes nothing, with answers in the
// place of those of handlers. No database lets it write, whatever functions it calls.
func (i *Instance) try(ctx context.Context, s session.Session, r Request, j Judgement, answers map[string]json.RawMessage) ([]byte, error) {
	x := i.executor
	x.Sources = make(map[string]*source.Source, len(i.executor.Sources))
	for name, src := range i.executor.Sources {
		x.Sources[name] = src.ReadOnly()
	}
	request := executor.Request{Session: s, Variables: j.vars, Query: r.Query, Examples: make(map[string][]byte, len(answers))}
	for name, body := range answers {
		request.Examples[name] = body
	}
	ctx, cancel := context.WithTimeout(ctx, i.timeLimit(s, j.program.Program))
	defer cancel()
	result, err := x.Run(ctx, j.program.Program, request)
	return result.Body, err
}

// numbered reads JSON whose numbers keep their digits; nothing is nil.
func numbered(text []byte) (v any, err error) {
	if len(text) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// answered compares an answer with what a test expects.
func answered(e metadata.PermissionExpect, body []byte) string {
	if e.Refused {
		return allowedInstead
	}
	response, err := numbered(body)
	object, _ := response.(map[string]any)
	data, ok := object["data"].(map[string]any)
	if err != nil || !ok {
		return "expected data in the answer"
	}
	for _, key := range slices.Sorted(maps.Keys(e.Rows)) {
		if got := rowsOf(data[key]); got != e.Rows[key] {
			return fmt.Sprintf("expected %d rows of %s, but got %d", e.Rows[key], key, got)
		}
	}
	if e.Data == nil {
		return ""
	}
	if want, err := numbered(e.Data); err != nil || !reflect.DeepEqual(want, any(data)) {
		got, _ := json.Marshal(data)
		return fmt.Sprintf("expected the data %s, but got %s", e.Data, shortened(got))
	}
	return ""
}

// rowsOf is how many rows a root field answers: an object is one.
func rowsOf(v any) int {
	switch v := v.(type) {
	case []any:
		return len(v)
	case nil:
		return 0
	}
	return 1
}

// maxShown bounds what a result repeats of an answer, in bytes.
const maxShown = 1000

func shortened(text []byte) string {
	if len(text) <= maxShown {
		return string(text)
	}
	return strings.ToValidUTF8(string(text[:maxShown]), "") + "…"
}
