package authz

import (
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"

	"tenantry/api/errcode"
	"tenantry/api/session"
)

var endlessFunction = &ast.Builtin{Name: "test.endless", Decl: types.NewFunction(nil, types.B)}

// ended lets the function return when a test is over.
var ended = make(chan struct{})

func init() {
	ast.RegisterBuiltin(endlessFunction)
	topdown.RegisterBuiltinFunc(endlessFunction.Name, func(_ topdown.BuiltinContext, _ []*ast.Term, iter func(*ast.Term) error) error {
		<-ended
		return iter(ast.BooleanTerm(true))
	})
}

func TestAnEvaluationThatDoesNotStopGivesItsPlaceBackAndShutsItsPolicy(t *testing.T) {
	t.Cleanup(func() { close(ended) })
	of := func(project, text string, stuck func()) *Policy {
		t.Helper()
		p, err := Compile(t.Context(), []Module{{Name: "authz.rego", Text: text}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.Observe(Observer{Project: project, Stuck: stuck})
		return p
	}
	const text = "package authz\nallow if input.session.role == \"user\""
	told := 0
	var mu sync.Mutex
	hangs := of("p1", text, func() { mu.Lock(); told++; mu.Unlock() })
	// What no module may say is put in its place.
	compiler := ast.NewCompiler()
	if compiler.Compile(map[string]*ast.Module{"authz.rego": ast.MustParseModule("package authz\nallow if test.endless()")}); compiler.Failed() {
		t.Fatal(compiler.Errors)
	}
	store, err := openData(nil)
	if err != nil {
		t.Fatal(err)
	}
	hanging := &engine{compiler: compiler, store: store, queries: map[string]*rego.PreparedEvalQuery{}, partials: map[string]*rego.PreparedPartialQuery{}}
	decide := func(p *Policy) (Decision, errcode.Code) {
		d, err := p.Decide(t.Context(), Request{Point: PointAction, Session: session.Session{Role: "user"}})
		if err == nil {
			return d, ""
		}
		return d, errcode.From(err).Code
	}
	hangs.keep(hanging)

	begun := time.Now()
	if d, code := decide(hangs); d.Allowed || code != errcode.PolicyTimeout {
		t.Errorf("got %+v, %s", d, code)
	}
	if took := time.Since(begun); took < time.Second || took > 5*time.Second {
		t.Errorf("the answer took %s, want a little more than a second", took)
	}
	if taken := len(evaluating); taken != 0 {
		t.Errorf("%d places are still taken", taken)
	}
	begun = time.Now()
	for range 100 {
		if d, code := decide(hangs); d.Allowed || code != errcode.PolicyTimeout {
			t.Fatalf("then got %+v, %s", d, code)
		}
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("100 denials of a policy that is shut took %s", took)
	}
	if mu.Lock(); told != 1 {
		t.Errorf("%d evaluations that did not stop are counted, want 1", told)
	}
	mu.Unlock()

	for _, test := range []struct {
		name, project, text string
		allowed             bool
	}{
		{"the same modules compiled again", "p1", text, false},
		{"other modules of the project", "p1", text + " # mended", true},
		{"another project", "p2", text, true},
	} {
		p := of(test.project, test.text, nil)
		if d, code := decide(p); d.Allowed != test.allowed {
			t.Errorf("%s: got %+v, %s", test.name, d, code)
		}
	}
	if with, err := hangs.WithData(t.Context(), []byte(`{"a": 1}`)); err != nil {
		t.Error(err)
	} else if d, _ := decide(with); d.Allowed {
		t.Error("other data opened the policy again")
	}
}
