package instance

import (
	"math"
	"sync"

	"tenantry/api/session"
	"tenantry/policy/access"
	"tenantry/policy/allowlist"
	"tenantry/policy/authz"
	"tenantry/services/engine/executor"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/planner"
	"tenantry/services/engine/schema"
)

// operationKey finds a prepared operation: what it was validated for, and its
// text as sent. No session values: they are bound later.
type operationKey struct {
	role        string
	backendOnly bool
	name        string
	query       string
	relay       bool
}

// prepared is an operation that is valid for a role, with its programs by shape
// of the variables.
type prepared struct {
	key       operationKey
	operation *operation.Operation
	tokens    int // of the document; 0 where no limit asks
	schema    *schema.Schema
	role      *access.Role
	listed    allowlist.Verdict
	seen      *allowlist.Seen // nil: it is not noted

	mu       sync.RWMutex
	programs map[string]*program
	size     int // of the programs, in bytes
}

// program is what runs, and what the policy says of it beforehand.
type program struct {
	*executor.Program
	asks []ask
	// differs is what a policy on trial would filter or show otherwise.
	differs []disagreement
	// actions that it calls, by name, as often as it does.
	actions []string
}

// weight is what p counts for in the cache, in bytes.
func (p *prepared) weight() uint32 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return uint32(min(4096+8*len(p.key.query)+p.size, math.MaxUint32))
}

// about is the operation as policies see it.
func (p *prepared) about() authz.Operation {
	return authz.Operation{Type: string(p.operation.Type), Name: p.operation.Name, Hash: p.operation.Hash}
}

// subscribes reports whether the operation is a subscription.
func (p *prepared) subscribes() bool { return string(p.operation.Type) == "subscription" }

// maxShapes bounds the programs of one operation, and maxProgram the bytes of
// each; others are planned each time.
const (
	maxShapes  = 64
	maxProgram = 256 << 10
)

func keyOf(s session.Session, r Request) operationKey {
	return operationKey{s.Role, s.BackendOnly, r.OperationName, r.Query, r.Relay}
}

// prepare parses and validates the operation, or finds it done.
func (i *Instance) prepare(s session.Session, r Request, listed allowlist.Verdict) (*prepared, error) {
	key := keyOf(s, r)
	if p, ok := i.prepared.GetIfPresent(key); ok {
		return p, nil
	}
	view, role := i.schemaOf(s.Role, s.BackendOnly, r.Relay)
	i.validations.Add(1)
	i.outside.Metrics.RecordValidation()
	op, err := operation.Prepare(view, r.Query, r.OperationName)
	if err != nil {
		return nil, err
	}
	p := &prepared{key: key, operation: op, schema: view, role: role, listed: listed, programs: map[string]*program{}}
	p.seen = i.note(s, p)
	if l := i.Document.APILimits; l != nil && l.TokenLimit != nil {
		p.tokens = operation.Tokens(r.Query)
	}
	i.prepared.Set(key, p)
	return p, nil
}

// program finds or makes the program of an operation, and counts it in the cache.
func (i *Instance) program(p *prepared, vars map[string]any) (*program, error) {
	found, grown, err := i.plan(p, vars)
	if grown {
		i.prepared.Set(p.key, p) // weighs it again
	}
	return found, err
}

// plan plans the operation for the shape of vars and renders its SQL, or finds it
// done; grown tells that it was added.
func (i *Instance) plan(p *prepared, vars map[string]any) (made *program, grown bool, err error) {
	shape := planner.Shape(p.operation, p.schema, vars)
	p.mu.RLock()
	found, ok := p.programs[shape]
	p.mu.RUnlock()
	if ok {
		return found, false, nil
	}
	i.plans.Add(1)
	i.outside.Metrics.RecordPlan()
	before := i.policy.Transients()
	planned, err := planner.Plan(p.operation, p.schema, i.narrowed(p.role, string(p.operation.Type)), vars)
	if err != nil {
		return nil, false, err
	}
	made = &program{Program: executor.Compile(planned), asks: i.asks(p.key.role, p.about(), planned), actions: planned.Actions()}
	made.differs = i.differences(p.role, string(p.operation.Type), planned)
	size := made.Size() + len(shape)
	for _, a := range made.asks {
		size += a.standing.Size() + a.shadow.Size()
	}
	// An introspection's answer may depend on the value of a variable, and a filter
	// that took too long to make may come out next time.
	if p.operation.Introspects() || size > maxProgram || before != i.policy.Transients() {
		return made, false, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.programs == nil || len(p.programs) >= maxShapes || p.programs[shape] != nil {
		return made, false, nil
	}
	p.programs[shape] = made
	p.size += size
	return made, true, nil
}
