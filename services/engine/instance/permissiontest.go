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
	"tenantry/tenants/metadata"
)

// TestResult is what came of one of the metadata's permission tests.
type TestResult struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	// Executed is false when the operation was only judged: what may change
	// something is never run.
	Executed bool `json:"executed" doc:"False when the operation was only judged up to the point where it would run: mutations and actions are never run."`
	// Differed says what was expected and what came instead.
	Differed string `json:"differed,omitempty" doc:"What was expected, and what came instead."`
}

// TestPermissions runs the permission tests of the metadata, in their order.
// Nothing is written anywhere: operations that may change something are only
// judged.
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
	vars, _ := variables.(map[string]any)
	r := Request{Request: graphqlhttp.Request{Query: t.Query, OperationName: t.OperationName, Variables: vars}}
	j := i.judge(ctx, s, r)
	if j.Err == nil && j.Harmless {
		body, err := i.try(ctx, s, r, j)
		if err == nil {
			return true, answered(t.Expect, body)
		}
		executed, j.Err = true, errcode.From(err)
	}
	e := t.Expect
	switch {
	case j.Err == nil && e.Refused:
		return executed, "expected a refusal, but the operation is allowed"
	case j.Err == nil && (e.Rows != nil || e.Data != nil):
		return executed, "rows and data can be expected of queries alone: what may change something is never run"
	case j.Err == nil:
		return executed, ""
	case !e.Refused:
		return executed, fmt.Sprintf("expected it to be allowed, but got %s: %s", j.Err.Code, j.Err.Message)
	case e.Code != "" && e.Code != string(j.Err.Code):
		return executed, fmt.Sprintf("expected the code %s, but got %s: %s", e.Code, j.Err.Code, j.Err.Message)
	}
	return executed, ""
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
		return "expected a refusal, but the operation is allowed"
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
