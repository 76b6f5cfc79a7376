package authz

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"tenantry/api/errcode"
)

const (
	maxReasons = 20
	maxReason  = 500 // bytes
)

// reasonQuery is the reasons as texts. Results are made into Go values, of which each
// may be as large as it looks: so they are bounded by a function that looks at them.
const reasonQuery = `[text | some reason in data.authz.reason; text := {true: reason, false: json.marshal(reason)}[is_string(reason)]]`

// Decide asks the rule of a point. An answer other than true denies, and so
// does every error; the error is an *errcode.Error that a client may see
// (policy-timeout, else permission-denied with the cause for operators), and
// the decision that comes with it carries the same id.
func (p *Policy) Decide(ctx context.Context, r Request) (Decision, error) {
	if !p.Asks(r.Point) || r.Session.IsAdmin() {
		return Decision{Allowed: true}, nil
	}
	d := Decision{Asked: true, ID: uuid.Must(uuid.NewV7()).String(), Rule: "authz." + ruleAt(r.Point)}
	started := time.Now()
	in, err := input(r)
	if err != nil {
		return d, d.failed(r.Path, err)
	}
	results, err := p.eval(ctx, root+"."+ruleAt(r.Point)+" == true", in)
	d.input, d.Took = in, time.Since(started)
	if err != nil {
		return d, d.failed(r.Path, err)
	}
	if d.Allowed = results.Allowed(); !d.Allowed && p.has["reason"] {
		// A denial stands whether or not its reasons can be told.
		if results, err := p.eval(ctx, reasonQuery, in); err == nil {
			d.Reasons = reasons(results)
		}
	}
	return d, nil
}

// eval runs a query for a request.
func (p *Policy) eval(ctx context.Context, query string, in ast.Value) (rego.ResultSet, error) {
	e, err := p.engine(ctx)
	if err != nil {
		return nil, err
	}
	q, err := e.query(ctx, query)
	if err != nil {
		return nil, err
	}
	p.count()
	return p.gate.eval(ctx, q, in)
}

func (d Decision) failed(path string, cause error) error {
	if errors.Is(cause, errTimeout) {
		return d.refusal(errcode.PolicyTimeout, "the policy took too long to decide", path).Because(cause)
	}
	return d.refusal(errcode.PermissionDenied, "not permitted", path).Because(cause)
}

func reasons(results rego.ResultSet) []string {
	values, _ := rego.ResultValue[[]any](results)
	var all []string
	for _, v := range values {
		s, _ := v.(string)
		if len(s) > maxReason {
			s = s[:maxReason]
		}
		if all = append(all, s); len(all) == maxReasons {
			break
		}
	}
	slices.Sort(all)
	return all
}

// names of the input document, made once.
var (
	keyPoint     = ast.InternedTerm("point")
	keyNow       = ast.InternedTerm("now")
	keyProject   = ast.InternedTerm("project")
	keyID        = ast.InternedTerm("id")
	keySession   = ast.InternedTerm("session")
	keyRole      = ast.InternedTerm("role")
	keyVariables = ast.InternedTerm("variables")
	keyAuth      = ast.InternedTerm("auth")
	keyIP        = ast.InternedTerm("ip")
	keyOperation = ast.InternedTerm("operation")
	keyType      = ast.InternedTerm("type")
	keyName      = ast.InternedTerm("name")
	keyHash      = ast.InternedTerm("hash")
	keyResource  = ast.InternedTerm("resource")
	keyKind      = ast.InternedTerm("kind")
	keySource    = ast.InternedTerm("source")
	keySchema    = ast.InternedTerm("schema")
	keyField     = ast.InternedTerm("field")
	keyColumns   = ast.InternedTerm("columns")
	keyArgs      = ast.InternedTerm("args")
)
