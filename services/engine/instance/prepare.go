package instance

import (
	"sync"

	"tenantry/api/session"
	"tenantry/policy/access"
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
}

// prepared is an operation that is valid for a role, with its programs by shape
// of the variables.
type prepared struct {
	operation *operation.Operation
	schema    *schema.Schema
	role      *access.Role

	mu       sync.RWMutex
	programs map[string]*executor.Program
}

// maxShapes bounds the programs of one operation; further shapes are planned
// each time.
const maxShapes = 64

// prepare parses and validates the operation, or finds it done.
func (i *Instance) prepare(s session.Session, r Request) (*prepared, error) {
	key := operationKey{s.Role, s.BackendOnly, r.OperationName, r.Query}
	if p, ok := i.prepared.GetIfPresent(key); ok {
		return p, nil
	}
	view, role := i.Schema(s.Role, s.BackendOnly)
	op, err := operation.Prepare(view, r.Query, r.OperationName)
	if err != nil {
		return nil, err
	}
	p := &prepared{operation: op, schema: view, role: role, programs: map[string]*executor.Program{}}
	i.prepared.Set(key, p)
	return p, nil
}

// program plans the operation for the shape of vars and renders its SQL, or
// finds it done.
func (p *prepared) program(vars map[string]any) (*executor.Program, error) {
	shape := planner.Shape(p.operation, p.schema, vars)
	p.mu.RLock()
	found, ok := p.programs[shape]
	p.mu.RUnlock()
	if ok {
		return found, nil
	}
	planned, err := planner.Plan(p.operation, p.schema, p.role, vars)
	if err != nil {
		return nil, err
	}
	program := executor.Compile(planned)
	if p.operation.Introspects() {
		return program, nil // its answer may depend on the value of a variable
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.programs != nil && len(p.programs) < maxShapes {
		p.programs[shape] = program
	}
	return program, nil
}
