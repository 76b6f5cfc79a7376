package control

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"tenantry/policy/authz"
	"tenantry/services/engine/accessview"
	"tenantry/tenants/settings"
)

// maxTrial is the body of a request with candidates: modules, data, an operation.
const maxTrial = 2 * (authz.MaxModules + authz.MaxData)

func (s *service) registerPolicyTrials() {
	tag, root := "Policies", "/projects/{project}/policies"
	register(s, endpoint{id: "testPolicies", method: http.MethodPost, path: root + ":test", class: authz.ClassRead, tag: tag, maxBody: maxTrial,
		summary: "Run the test_ rules of the modules, or of candidates for them; nothing is stored"}, s.testPolicies)
	register(s, endpoint{id: "evaluatePolicies", method: http.MethodPost, path: root + ":evaluate", class: authz.ClassRead, tag: tag, maxBody: maxTrial,
		summary: "What the modules, or candidates for them, decide about an operation of a session, and why; nothing of it runs"}, s.evaluatePolicies)
}

// Candidates stand for modules of their names, and are added to the others; data
// stands for the project's data.
type Candidates struct {
	Modules []CandidateModule `json:"modules,omitempty" maxItems:"100" doc:"Modules that stand for those of their names; the project's others stay."`
	Data    *jsonObject       `json:"data,omitempty" doc:"What Rego sees as data.tenant, instead of the project's."`
}

// CandidateModule is a Rego module that is not stored.
type CandidateModule struct {
	Name string `json:"name" pattern:"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"`
	Text string `json:"text" doc:"The module; an empty text takes the module of the name away."`
}

// edit puts the candidates into settings.
func (in Candidates) edit(set *settings.Settings) error {
	for _, m := range in.Modules {
		at := slices.IndexFunc(set.Policies, func(p settings.Policy) bool { return p.Name == m.Name })
		switch {
		case m.Text == "" && at >= 0:
			set.Policies = slices.Delete(set.Policies, at, at+1)
		case m.Text == "":
		case at >= 0:
			set.Policies[at].Text = m.Text
		case len(set.Policies) == maxPolicies:
			return invalid(wrong("/modules", "expected at most %d modules in a project", maxPolicies))
		default:
			set.Policies = append(set.Policies, settings.Policy{Name: m.Name, Text: m.Text})
		}
	}
	if in.Data != nil {
		set.PolicyData = json.RawMessage(*in.Data)
	}
	return nil
}

// problem is an error with the candidates: their mistakes are in the modules.
func (in Candidates) problem(err error) error {
	var compile *authz.CompileError
	if asError(err, &compile) {
		return compileProblem(compile, "/modules")
	}
	return err
}

type testPoliciesInput struct {
	ProjectPath
	Body Candidates
}

type policyTestView struct {
	Name    string   `json:"name" doc:"Package and rule, such as authz.test_small_orders."`
	Module  string   `json:"module"`
	Line    int      `json:"line"`
	Column  int      `json:"column"`
	Passed  bool     `json:"passed"`
	Message string   `json:"message,omitempty" doc:"Why it did not pass."`
	Trace   []string `json:"trace,omitempty" doc:"Conditions that did not hold on the way, as module:line: condition; at most 50."`
	Took    int64    `json:"took_ns" doc:"Nanoseconds; a test is watched, which takes longer than a request does."`
}

type coverageView struct {
	Module  string  `json:"module"`
	Percent float64 `json:"percent" doc:"Of the lines of its rules, those that the tests have evaluated."`
	Lines   int     `json:"lines"`
	Missed  []int   `json:"missed" nullable:"false" doc:"Lines that no test has evaluated; the tests themselves don't count."`
}

type policyTestsOutput struct {
	Body struct {
		Passed   bool             `json:"passed"`
		Percent  float64          `json:"percent" doc:"Coverage of all modules together."`
		Tests    []policyTestView `json:"tests" nullable:"false"`
		Coverage []coverageView   `json:"coverage" nullable:"false"`
	}
}

func (s *service) testPolicies(ctx context.Context, c *call, in *testPoliciesInput) (*policyTestsOutput, error) {
	run, err := s.Revisions.TestPolicies(ctx, c.project.ID, in.Body.edit)
	if err != nil {
		return nil, in.Body.problem(err)
	}
	out := &policyTestsOutput{}
	out.Body.Passed, out.Body.Tests, out.Body.Coverage = run.Passed(), []policyTestView{}, []coverageView{}
	for _, t := range run.Results {
		out.Body.Tests = append(out.Body.Tests, policyTestView{
			Name: t.Name, Module: t.Module, Line: t.Row, Column: t.Col, Passed: t.Passed, Message: t.Failure, Trace: t.Unmet, Took: t.Took.Nanoseconds(),
		})
	}
	lines, missed := 0, 0
	for _, one := range run.Coverage {
		lines, missed = lines+one.Lines, missed+len(one.Missed)
		out.Body.Coverage = append(out.Body.Coverage, coverageView{one.Module, percent(one.Lines-len(one.Missed), one.Lines), one.Lines, one.Missed})
	}
	out.Body.Percent = percent(lines-missed, lines)
	return out, nil
}

// percent has one decimal; of nothing it is all.
func percent(part, whole int) float64 {
	if whole == 0 {
		return 100
	}
	return float64(part*1000/whole) / 10
}

type evaluatePoliciesInput struct {
	ProjectPath
	Body struct {
		Candidates
		ExplainBody
	}
}

type evaluationOutput struct{ Body accessview.Evaluation }

func (s *service) evaluatePolicies(ctx context.Context, c *call, in *evaluatePoliciesInput) (*evaluationOutput, error) {
	of, request, err := in.Body.asked(c.project.ID)
	if err != nil {
		return nil, err
	}
	p, err := s.Revisions.TryPolicies(ctx, c.project.ID, in.Body.edit)
	if err != nil {
		return nil, in.Body.problem(err)
	}
	return &evaluationOutput{p.Evaluate(ctx, of, request)}, nil
}
