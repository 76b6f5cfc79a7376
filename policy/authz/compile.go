package authz

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// The sizes that a project may use.
const (
	MaxModule  = 64 << 10  // bytes of one module
	MaxModules = 512 << 10 // bytes of all modules
	MaxData    = 1 << 20   // bytes of policy data
	maxNesting = 200       // brackets in brackets; 90 000 would take seconds to parse
	root       = "data.authz"
)

// compiling bounds parsing and compiling in the process: neither can be
// interrupted.
var compiling = make(chan struct{}, 1)

// Compile checks and compiles a project's modules. data is a JSON object that
// they see as data.tenant; nil is an empty one. Without modules the policy asks
// nothing. The error is a *CompileError for mistakes in modules and data, else
// the context's.
func Compile(ctx context.Context, modules []Module, data []byte) (*Policy, error) {
	p := &Policy{hash: hashOf(modules, data), modules: modules, data: data, gate: newGate(), fault: seeded.Load(), counts: &counts{}, late: &registry{}}
	if len(modules) == 0 {
		return p, nil
	}
	e, found, err := build(ctx, modules, data)
	if err != nil {
		return nil, err
	}
	p.has = found.has
	results, err := found.run(ctx, p.gate, e, nil)
	if err == nil {
		err = failed(results)
	}
	if err != nil {
		return nil, err
	}
	p.keep(e)
	return p, nil
}

// build checks and compiles modules.
func build(ctx context.Context, modules []Module, data []byte) (e *engine, found *rules, err error) {
	store, err := openData(data)
	if err != nil {
		return nil, nil, err
	}
	if err := checkSizes(modules); err != nil {
		return nil, nil, err
	}
	if err := checkLiterals(modules); err != nil {
		return nil, nil, err
	}
	select {
	case compiling <- struct{}{}:
		defer func() { <-compiling }()
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	defer func() {
		if r := recover(); r != nil {
			err = &CompileError{[]Problem{{Message: fmt.Sprintf("the modules cannot be compiled: %v", r)}}}
		}
	}()
	parsed, err := parse(modules)
	if err != nil {
		return nil, nil, err
	}
	if found, err = inspect(parsed); err != nil {
		return nil, nil, err
	}
	compiler := ast.NewCompiler().WithStrict(true).WithCapabilities(capabilities()).WithStageAfterID(ast.StageCheckRecursion, sized)
	if compiler.Compile(parsed); compiler.Failed() {
		return nil, nil, &CompileError{problems("", compiler.Errors)}
	}
	return &engine{compiler: compiler, store: store, queries: map[string]*rego.PreparedEvalQuery{}, partials: map[string]*rego.PreparedPartialQuery{}}, found, nil
}

func openData(data []byte) (storage.Store, error) {
	fail := func(message string) error {
		return &CompileError{[]Problem{{Module: "policy data", Message: message}}}
	}
	if len(data) > MaxData {
		return nil, fail(fmt.Sprintf("expected at most %d bytes, got %d", MaxData, len(data)))
	}
	tenant := map[string]any{}
	if len(bytes.TrimSpace(data)) > 0 {
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		if err := d.Decode(&tenant); err != nil || tenant == nil {
			return nil, fail("expected a JSON object")
		}
		if left := maxExtreme; !comparable(tenant, &left) {
			return nil, fail(fmt.Sprintf("expected no number with an exponent beyond %d, and at most %d beyond %d", maxExponent, maxExtreme, quickExponent))
		}
	}
	return inmem.NewFromObjectWithOpts(map[string]any{"tenant": tenant}, inmem.OptReturnASTValuesOnRead(true)), nil
}

func checkSizes(modules []Module) error {
	var failed []Problem
	names, total := map[string]bool{}, 0
	for _, m := range modules {
		total += len(m.Text)
		if len(m.Text) > MaxModule {
			failed = append(failed, Problem{Module: m.Name, Message: fmt.Sprintf("expected at most %d bytes, got %d", MaxModule, len(m.Text))})
		}
		if names[m.Name] {
			failed = append(failed, Problem{Module: m.Name, Message: "another module has the same name"})
		}
		names[m.Name] = true
	}
	if total > MaxModules {
		failed = append(failed, Problem{Module: modules[0].Name, Message: fmt.Sprintf("expected at most %d bytes in all modules, got %d", MaxModules, total)})
	}
	if failed != nil {
		return &CompileError{failed}
	}
	return nil
}

func parse(modules []Module) (map[string]*ast.Module, error) {
	var failed []Problem
	parsed := make(map[string]*ast.Module, len(modules))
	for _, m := range modules {
		// The public parse function takes no depth, so a first pass looks at the
		// nesting alone.
		_, _, errs := ast.NewParser().WithFilename(m.Name).WithReader(strings.NewReader(m.Text)).
			WithCapabilities(capabilities()).WithRegoVersion(ast.RegoV1).WithMaxRecursionDepth(maxNesting).Parse()
		if len(errs) > 0 {
			failed = append(failed, problems(m.Name, errs)...)
			continue
		}
		module, err := ast.ParseModuleWithOpts(m.Name, m.Text, ast.ParserOptions{Capabilities: capabilities(), RegoVersion: ast.RegoV1})
		if err != nil {
			failed = append(failed, problemsOf(m.Name, err)...)
			continue
		}
		if module == nil { // a text without statements
			failed = append(failed, Problem{Module: m.Name, Row: 1, Col: 1, Message: "expected package authz"})
			continue
		}
		parsed[m.Name] = module
	}
	if failed != nil {
		return nil, &CompileError{failed}
	}
	return parsed, nil
}

func problemsOf(module string, err error) []Problem {
	var list ast.Errors
	if errors.As(err, &list) {
		return problems(module, list)
	}
	var one *ast.Error
	if errors.As(err, &one) {
		return problems(module, ast.Errors{one})
	}
	return []Problem{{Module: module, Message: err.Error()}}
}

func problems(module string, list ast.Errors) []Problem {
	all := make([]Problem, 0, len(list))
	for _, e := range list {
		p := Problem{Module: module, Message: e.Message}
		if e.Location != nil {
			p.Row, p.Col = e.Location.Row, e.Location.Col
			if e.Location.File != "" {
				p.Module = e.Location.File
			}
		}
		all = append(all, p)
	}
	return all
}
