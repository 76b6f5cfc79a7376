package authz

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

var (
	tenantRef    = ast.MustParseRef("data.tenant")
	variablesRef = ast.MustParseRef("input.session.variables")
	argsRef      = ast.MustParseRef("input.args")
	nowRef       = ast.MustParseRef("input.now")
)

// unknownTerms are what partial evaluation does not know: the row, the request,
// and data, which may change while plans stay.
var unknownTerms = terms("input.row", "input.session.variables", "input.session.auth", "input.session.ip", "input.now", "input.args",
	"input.operation.name", "input.operation.hash", "input.resource.field", "data.tenant", "input.resource.columns")

// unknownOfColumns are those where a column is named.
var unknownOfColumns = unknownTerms[:len(unknownTerms)-1]

// undecided are unknown for a decision about an operation that is known.
var undecided = terms("input.session.variables", "input.session.auth", "input.session.ip", "input.now", "input.args", "data.tenant")

func terms(refs ...string) []*ast.Term {
	var all []*ast.Term
	for _, r := range refs {
		all = append(all, ast.MustParseTerm(r))
	}
	return all
}

// nowhere are parts of the input that are not known where rows are filtered,
// neither then nor when the request runs: plans are made for many operations.
var nowhere = []ast.Ref{
	argsRef, ast.MustParseRef("input.operation.name"), ast.MustParseRef("input.operation.hash"),
	ast.MustParseRef("input.resource.field"), ast.MustParseRef("input.resource.columns"),
}

// knownLate reports whether a part of the input is known when the request runs.
func knownLate(r ast.Ref) bool {
	return !slices.ContainsFunc(nowhere, func(part ast.Ref) bool {
		return r.HasPrefix(part) || part.HasPrefix(r) && len(r) > 1 || len(r) > 2 && !r[:3].IsGround() && part.HasPrefix(r[:2])
	})
}

// partial evaluates a query as far as it is known.
func (p *Policy) partial(ctx context.Context, query string, unknowns []*ast.Term, r Request) (*rego.PartialQueries, *engine, error) {
	e, err := p.engine(ctx)
	if err != nil {
		return nil, nil, err
	}
	in, err := input(r)
	if err != nil {
		return nil, nil, err
	}
	q, err := e.partial(ctx, query, unknowns, p.fault != DefaultInlining)
	if err != nil {
		return nil, nil, err
	}
	left, err := within(ctx, p.gate, func(cancel topdown.Cancel) (*rego.PartialQueries, error) {
		return q.Partial(ctx, rego.EvalParsedInput(in), rego.EvalExternalCancel(cancel))
	})
	return left, e, err
}

func (e *engine) partial(ctx context.Context, query string, unknowns []*ast.Term, shallow bool) (*rego.PreparedPartialQuery, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := fmt.Sprint(query, len(unknowns), shallow)
	if q, ok := e.partials[key]; ok {
		return q, nil
	}
	body, err := ast.ParseBodyWithOpts(query, ast.ParserOptions{RegoVersion: ast.RegoV1})
	if err != nil {
		return nil, err
	}
	q, err := rego.New(rego.ParsedQuery(body), rego.Compiler(e.compiler), rego.Store(e.store), rego.ParsedUnknowns(unknowns),
		rego.ShallowInlining(shallow), rego.StrictBuiltinErrors(true)).PrepareForPartial(ctx)
	if err != nil {
		return nil, err
	}
	e.partials[key] = &q
	return &q, nil
}

// original finds where a rule stands in the modules: one with else first, because
// that is why it was left alone.
func (e *engine) original(r ast.Ref) *ast.Location {
	rules := e.compiler.GetRules(r)
	for _, rule := range rules {
		if rule.Else != nil {
			return rule.Location
		}
	}
	if len(rules) > 0 {
		return rules[0].Location
	}
	return nil
}

// shown is a reference as its author wrote it.
func shown(r ast.Ref) string {
	return strings.TrimPrefix(strings.TrimPrefix(r.String(), "data.partial."), "data.authz.")
}

// Filter is what the rule filter says of the rows of a table, for a role, an
// operation's type and a point. A *CompileError tells what cannot be translated,
// with its places; other errors are time-outs. Without the rule all rows pass.
func (p *Policy) Filter(ctx context.Context, r Request, t *model.Table, types map[string]catalog.Type) (filter.Expr, error) {
	if !p.has["filter"] {
		return filter.True, nil
	}
	e, _, err := p.rows(ctx, r, t, types)
	return e, err
}

// rows is Filter, and the names that the table lacks.
func (p *Policy) rows(ctx context.Context, r Request, t *model.Table, types map[string]catalog.Type) (filter.Expr, []missing, error) {
	tr, left, err := p.translator(ctx, root+".filter == true", unknownTerms, r, t, types)
	if err != nil {
		return filter.False, nil, err
	}
	e := tr.queries(left.Queries)
	if err := tr.finish(p); err != nil {
		return filter.False, tr.missing, err
	}
	return e, tr.missing, nil
}

// translator evaluates a query partially and prepares its translation.
func (p *Policy) translator(ctx context.Context, query string, unknowns []*ast.Term, r Request, t *model.Table, types map[string]catalog.Type) (*translator, *rego.PartialQueries, error) {
	left, e, err := p.partial(ctx, query, unknowns, r)
	if err != nil {
		if errors.Is(err, errTimeout) || ctx.Err() != nil {
			p.transients.Add(1)
			return nil, nil, err
		}
		return nil, nil, &CompileError{problemsOf("", err)}
	}
	tr := &translator{
		root: &scope{table: t}, rules: map[string][]*ast.Rule{}, overRows: map[string]bool{}, types: types, original: e.original,
		until: time.Now().Add(maxTranslate), fault: p.fault,
		late: &lateModule{id: p.late.next(), values: map[string]lateValue{}, request: r, support: left.Support},
	}
	tr.support(left.Support)
	return tr, left, nil
}

// support takes in the rules of a residual, and finds those that rows have a part
// in.
func (t *translator) support(modules []*ast.Module) {
	count := 0
	var last *ast.Location
	for _, m := range modules {
		for _, rule := range m.Rules {
			count++
			last = place(rule, last)
			key := m.Package.Path.Extend(rule.Head.Ref().GroundPrefix()).String()
			t.rules[key] = append(t.rules[key], rule)
		}
	}
	if count > maxSupport {
		t.fail(last, "the filter needs more than %d rules", maxSupport)
	}
	for _, rules := range t.rules {
		// As written, so that the text of statements is always the same.
		slices.SortStableFunc(rules, func(a, b *ast.Rule) int { return order(place(a, nil), place(b, nil)) })
		for _, rule := range rules {
			for _, e := range rule.Body {
				t.check(e)
			}
		}
	}
	for grown := true; grown; {
		grown = false
		for key, rules := range t.rules {
			if !t.overRows[key] && slices.ContainsFunc(rules, t.mentionsRow) {
				t.overRows[key], grown = true, true
			}
		}
	}
}

// order compares places in modules.
func order(a, b *ast.Location) int {
	if a == nil || b == nil {
		return 0
	}
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Row, b.Row), cmp.Compare(a.Col, b.Col))
}

func (t *translator) mentionsRow(rule *ast.Rule) bool {
	found := false
	w := walk{variable: func(ast.Var, bool) {}, reference: func(r ast.Ref) {
		found = found || ofRow(r) || t.overRows[t.ruleOf(r)]
	}}
	for ; rule != nil; rule = rule.Else {
		w.body(rule.Body)
		w.term(rule.Head.Key)
		w.term(rule.Head.Value)
	}
	return found
}

// queries is true where one of them is.
func (t *translator) queries(all []ast.Body) filter.Expr {
	var alternatives []filter.Expr
	for _, q := range all {
		if len(q) == 0 {
			return filter.True
		}
		alternatives = append(alternatives, t.conjunction(nil, t.root, nil, q, nil))
	}
	return anyOf(alternatives)
}

// finish makes the late values of a translation known, unless there are problems.
func (t *translator) finish(p *Policy) error {
	if len(t.problems) > 0 {
		slices.SortFunc(t.problems, func(a, b Problem) int {
			return cmp.Or(cmp.Compare(a.Module, b.Module), cmp.Compare(a.Row, b.Row), cmp.Compare(a.Col, b.Col))
		})
		return &CompileError{t.problems}
	}
	if len(t.late.rules) == 0 {
		return nil
	}
	t.late.settle(t.overRows)
	p.late.add(t.late)
	return nil
}
