package authz

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

//go:embed control.rego
var controlModule string

// The kinds of callers of the control API.
const (
	CallerOperator   = "operator"
	CallerTenantKey  = "tenant_key"
	CallerProjectKey = "project_key"
	CallerAnonymous  = "anonymous"
)

// The classes of its operations: what a caller must be allowed to do.
const (
	ClassPublic   = "public"   // no key needed
	ClassSelf     = "self"     // about the key itself
	ClassRead     = "read"     // look at things of a tenant or project
	ClassWrite    = "write"    // change a project
	ClassSecrets  = "secrets"  // make, show or revoke credentials of a project
	ClassAdmin    = "admin"    // keys, members and life cycle of projects
	ClassOwner    = "owner"    // life of the tenant itself
	ClassBilling  = "billing"  // plan and usage
	ClassOperator = "operator" // the installation's operator alone
	ClassMetrics  = "metrics"
	ClassAudit    = "audit"
)

// ControlRequest is one call of the control API. Targets are ids, not slugs,
// and empty where the operation has none; the target tenant of a project's
// operation is the project's owner.
type ControlRequest struct {
	CallerKind     string
	Role           string   // of a tenant's key
	Scopes         []string // of a project's key
	CallerTenant   string
	CallerProject  string
	OperationID    string
	OperationClass string
	TargetTenant   string
	TargetProject  string
}

// Control decides who may call what of the control API.
type Control struct{ query rego.PreparedEvalQuery }

// NewControl compiles our own module. An error is a mistake in this program.
func NewControl(ctx context.Context) (*Control, error) {
	module, err := ast.ParseModuleWithOpts("control.rego", controlModule, ast.ParserOptions{Capabilities: capabilities(), RegoVersion: ast.RegoV1})
	if err != nil {
		return nil, fmt.Errorf("control policy: %w", err)
	}
	compiler := ast.NewCompiler().WithStrict(true).WithCapabilities(capabilities())
	if compiler.Compile(map[string]*ast.Module{"control.rego": module}); compiler.Failed() {
		return nil, fmt.Errorf("control policy: %w", compiler.Errors)
	}
	q, err := rego.New(rego.Query("data.tenantry.control.allow"), rego.Compiler(compiler), rego.StrictBuiltinErrors(true)).PrepareForEval(ctx)
	if err != nil {
		return nil, fmt.Errorf("control policy: %w", err)
	}
	return &Control{query: q}, nil
}

// Allow reports whether the call is allowed. A call that is about another
// tenant's thing is not; the caller answers it as not found. With an error the
// answer is no.
func (c *Control) Allow(ctx context.Context, r ControlRequest) (bool, error) {
	text := ast.StringTerm
	pair := func(key *ast.Term, value *ast.Term) [2]*ast.Term { return [2]*ast.Term{key, value} }
	scopes := make([]*ast.Term, len(r.Scopes))
	for i, s := range r.Scopes {
		scopes[i] = text(s)
	}
	in := ast.NewObject(
		pair(text("caller"), ast.ObjectTerm(
			pair(keyKind, text(r.CallerKind)),
			pair(keyRole, text(r.Role)),
			pair(text("scopes"), ast.ArrayTerm(scopes...)),
			pair(text("tenant"), text(r.CallerTenant)),
			pair(keyProject, text(r.CallerProject)),
		)),
		pair(keyOperation, text(r.OperationID)),
		pair(text("class"), text(r.OperationClass)),
		pair(text("target"), ast.ObjectTerm(
			pair(text("tenant"), text(r.TargetTenant)),
			pair(keyProject, text(r.TargetProject)),
		)),
	)
	results, err := c.query.Eval(ctx, rego.EvalParsedInput(in))
	if err != nil {
		return false, fmt.Errorf("control policy: %w", err)
	}
	return results.Allowed(), nil
}
