package authz

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"tenantry/api/session"
)

const (
	keepsValues = 60 * time.Second // late values of a session
	keepsNow    = time.Second      // those that depend on the time
	maxValues   = 4096             // sessions' values of one policy
)

// registry holds the late modules of a policy's filters and the values that late
// modules had.
type registry struct {
	mu      sync.RWMutex
	count   int
	modules map[string]*lateModule
	values  map[string]*lateValues
	// standings are what was found of decisions lately, by request, and shared their
	// late modules, by text, of size bytes.
	standings map[[sha256.Size]byte]Standing
	shared    map[string]*lateModule
	size      int
	// refused are why filters could not be made; their names begin with "!".
	refused map[string]error
}

// refuse is a value that is denied to whoever asks for it.
func (r *registry) refuse(err error) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused == nil {
		r.refused = map[string]error{}
	}
	name := "!" + err.Error()
	r.refused[name] = err
	return name
}

// lateValues are those of one module for one session, by rule.
type lateValues struct {
	texts map[string]*string
	errs  map[string]error
	until time.Time
}

func (r *registry) next() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	return strconv.Itoa(r.count)
}

func (r *registry) add(m *lateModule) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.modules == nil {
		r.modules = map[string]*lateModule{}
	}
	r.modules[m.id] = m
}

// settle keeps of the residual's rules what late values can use, and finds out
// what they depend on.
func (m *lateModule) settle(overRows map[string]bool) {
	kept := make([]*ast.Module, 0, len(m.support))
	for _, module := range m.support {
		module = module.Copy()
		module.Rules = slices.DeleteFunc(module.Rules, func(rule *ast.Rule) bool {
			return overRows[module.Package.Path.Extend(rule.Head.Ref().GroundPrefix()).String()]
		})
		if len(module.Rules) > 0 {
			kept = append(kept, module)
		}
	}
	m.support = kept
	w := walk{variable: func(ast.Var, bool) {}, reference: m.reads}
	for _, module := range kept {
		for _, rule := range module.Rules {
			for ; rule != nil; rule = rule.Else {
				w.body(rule.Body)
				w.term(rule.Head.Value)
			}
		}
	}
	for _, rule := range m.rules {
		w.body(rule.Body)
		w.term(rule.Head.Value)
	}
	slices.Sort(m.variables)
	m.variables = slices.Compact(m.variables)
}

func (m *lateModule) reads(r ast.Ref) {
	if !r.HasPrefix(ast.InputRootRef) {
		return
	}
	name := func(i int) string {
		if i < len(r) {
			if s, ok := r[i].Value.(ast.String); ok {
				return string(s)
			}
		}
		return ""
	}
	m.beyond = m.beyond || name(1) != "now" && name(1) != "session"
	switch {
	case name(1) == "now":
		m.now = true
	case name(1) != "session" && name(1) != "":
	case name(2) == "auth":
		m.auth = true
	case name(2) == "ip":
		m.ip = true
	case name(2) == "role":
	case name(2) == "variables" && name(3) != "":
		m.variables = append(m.variables, name(3))
	default:
		m.all, m.auth, m.ip = true, true, true
		m.now = m.now || name(1) == ""
	}
}

// appendKey writes what the values of a session depend on.
func (m *lateModule) appendKey(key []byte, s session.Session) []byte {
	part := func(text string) {
		key = strconv.AppendInt(key, int64(len(text)), 10)
		key = append(key, ':')
		key = append(key, text...)
	}
	part(m.id)
	names := m.variables
	if m.all {
		names = s.Names()
	}
	for _, name := range names {
		value, ok := s.Variables[name]
		if m.all {
			part(name)
		}
		if !ok {
			key = append(key, '-')
			continue
		}
		part(value)
	}
	if m.auth {
		part(string(s.Auth))
	}
	if m.ip {
		part(s.IP)
	}
	return key
}

// Late is a late-bound value of a session as Postgres reads it, nil for NULL. It
// is evaluated once for all sessions that look alike to it, and again after a
// minute. The error is an *errcode.Error: what cannot be decided is denied.
func (p *Policy) Late(ctx context.Context, s session.Session, name string) (*string, error) {
	values, err := p.bound(ctx, s, name)
	rule := name[strings.IndexByte(name, '.')+1:]
	if err == nil {
		err = values.errs[rule]
	}
	if err != nil {
		d := Decision{ID: uuid.Must(uuid.NewV7()).String()}
		return nil, d.failed("$", err)
	}
	return values.texts[rule], nil
}

var errNoModule = errors.New("the policy has no such value")

func (p *Policy) bound(ctx context.Context, s session.Session, name string) (*lateValues, error) {
	id, _, _ := strings.Cut(name, ".")
	p.late.mu.RLock()
	if err, refused := p.late.refused[name]; refused {
		p.late.mu.RUnlock()
		return nil, err
	}
	m, ok := p.late.modules[id]
	p.late.mu.RUnlock()
	if !ok {
		return nil, errNoModule
	}
	return p.values(ctx, s, m)
}

// values are those of a module for a session, evaluated or found.
func (p *Policy) values(ctx context.Context, s session.Session, m *lateModule) (*lateValues, error) {
	var room [320]byte
	key := m.appendKey(append(room[:0], p.hash...), s)
	p.late.mu.RLock()
	values, ok := p.late.values[string(key)]
	p.late.mu.RUnlock()
	if ok && time.Now().Before(values.until) {
		return values, nil
	}
	values, err := p.evaluate(ctx, m, s)
	if err != nil {
		return nil, err
	}
	p.late.mu.Lock()
	defer p.late.mu.Unlock()
	if p.late.values == nil || len(p.late.values) >= maxValues {
		p.late.values = map[string]*lateValues{}
	}
	p.late.values[string(key)] = values
	return values, nil
}

// lateQuery is the values of a late module, after a function that looks at everything
// in them: what is too much for it is not made into Go values.
const lateQuery = "object.subset(data.late, {}); data.late"

// evaluate finds all values of a module for a session.
func (p *Policy) evaluate(ctx context.Context, m *lateModule, s session.Session) (*lateValues, error) {
	e, err := p.lateEngine(ctx, m)
	if err != nil {
		return nil, err
	}
	q, err := e.query(ctx, lateQuery)
	if err != nil {
		return nil, err
	}
	r := m.request
	r.Session = s
	in, err := input(r)
	if err != nil {
		return nil, err
	}
	p.count()
	started := time.Now()
	results, err := within(ctx, p.gate, func(cancel topdown.Cancel) (rego.ResultSet, error) {
		return q.Eval(ctx, rego.EvalParsedInput(in), rego.EvalExternalCancel(cancel))
	})
	if err != nil {
		return nil, err
	}
	if len(results) != 1 || len(results[0].Expressions) != 2 {
		return nil, errNoModule
	}
	found, err := ast.InterfaceToValue(results[0].Expressions[1].Value)
	if err != nil {
		return nil, err
	}
	object, ok := found.(ast.Object)
	if !ok {
		return nil, errNoModule
	}
	values := m.read(object)
	if p.observer.Bound != nil {
		p.observer.Bound(m.told(s, in, values, time.Since(started)))
	}
	return values, nil
}

func (m *lateModule) read(object ast.Object) *lateValues {
	keeps := keepsValues
	if m.now {
		keeps = keepsNow
	}
	out := &lateValues{texts: map[string]*string{}, errs: map[string]error{}, until: time.Now().Add(keeps)}
	for name, v := range m.values {
		var value ast.Value
		if found := object.Get(ast.StringTerm(name)); found != nil {
			value = found.Value
		}
		text, err := v.text(value)
		if err != nil {
			out.errs[name] = err
			continue
		}
		out.texts[name] = text
	}
	return out
}

// lateKey finds the engine of a late module for one state of the data.
type lateKey struct {
	module *lateModule
	policy string
}

// lateEngine compiles a late module, or finds it compiled.
func (p *Policy) lateEngine(ctx context.Context, m *lateModule) (*engine, error) {
	if e := engines.get(lateKey{m, p.hash}); e != nil {
		return e, nil
	}
	owner, err := p.engine(ctx)
	if err != nil {
		return nil, err
	}
	modules := map[string]*ast.Module{"late": {Package: &ast.Package{Path: ast.MustParseRef("data.late")}}}
	text := 0
	for _, rule := range m.rules {
		copied := rule.Copy()
		copied.Module = modules["late"]
		modules["late"].Rules = append(modules["late"].Rules, copied)
		text += 200
	}
	for i, support := range m.support {
		modules[fmt.Sprint("support", i)] = support.Copy()
		text += 200 * len(support.Rules)
	}
	compiler := ast.NewCompiler().WithCapabilities(capabilities())
	if compiler.Compile(modules); compiler.Failed() {
		return nil, &CompileError{problems("", compiler.Errors)}
	}
	e := &engine{compiler: compiler, store: owner.store, queries: map[string]*rego.PreparedEvalQuery{}, partials: map[string]*rego.PreparedPartialQuery{}}
	engines.put(lateKey{m, p.hash}, e, text, 0)
	return e, nil
}
