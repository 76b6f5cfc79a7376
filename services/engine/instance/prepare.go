package instance

import (
	"math"
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
	relay       bool
}

// prepared is an operation that is valid for a role, with its programs by shape
// of the variables.
type prepared struct {
	key       operationKey
	operation *operation.Operation
	schema    *schema.Schema
	role      *access.Role

	mu       sync.RWMutex
	programs map[string]*executor.Program
	size     int // of the programs, in bytes
}

// weight is what p counts for in the cache, in bytes.
func (p *prepared) weight() uint32 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return uint32(min(4096+8*len(p.key.query)+p.size, math.MaxUint32))
}

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
func (i *Instance) prepare(s session.Session, r Request) (*prepared, error) {
	key := keyOf(s, r)
	if p, ok := i.prepared.GetIfPresent(key); ok {
		return p, nil
	}
	view, role := i.schemaOf(s.Role, s.BackendOnly, r.Relay)
	op, err := operation.Prepare(view, r.Query, r.OperationName)
	if err != nil {
		return nil, err
	}
	p := &prepared{key: key, operation: op, schema: view, role: role, programs: map[string]*executor.Program{}}
	i.prepared.Set(key, p)
	return p, nil
}

// program finds or makes the program of an operation, and counts it in the cache.
func (i *Instance) program(p *prepared, vars map[string]any) (*executor.Program, error) {
	program, grown, err := p.program(vars)
	if grown {
		i.prepared.Set(p.key, p) // weighs it again
	}
	return program, err
}

// program plans the operation for the shape of vars and renders its SQL, or
// finds it done; grown tells that it was added.
func (p *prepared) program(vars map[string]any) (program *executor.Program, grown bool, err error) {
	shape := planner.Shape(p.operation, p.schema, vars)
	p.mu.RLock()
	found, ok := p.programs[shape]
	p.mu.RUnlock()
	if ok {
		return found, false, nil
	}
	planned, err := planner.Plan(p.operation, p.schema, p.role, vars)
	if err != nil {
		return nil, false, err
	}
	program = executor.Compile(planned)
	size := program.Size() + len(shape)
	if p.operation.Introspects() || size > maxProgram { // an introspection's answer may depend on the value of a variable
		return program, false, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.programs == nil || len(p.programs) >= maxShapes || p.programs[shape] != nil {
		return program, false, nil
	}
	p.programs[shape] = program
	p.size += size
	return program, true, nil
}
