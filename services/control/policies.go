package control

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"tenantry/policy/authz"
	"tenantry/services/revision"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
)

// maxPolicies bounds the modules of a project; their sizes are policy/authz's.
const maxPolicies = 100

func (s *service) registerPolicies() {
	tag := "Policies"
	register(s, endpoint{id: "listPolicies", method: http.MethodGet, path: "/projects/{project}/policies", class: authz.ClassRead, tag: tag,
		summary: "Rego modules of a project"}, s.listPolicies)
	register(s, endpoint{id: "getPolicy", method: http.MethodGet, path: "/projects/{project}/policies/{name}", class: authz.ClassRead, tag: tag,
		answerType: "text/plain", summary: "A Rego module as text"}, s.getPolicy)
	register(s, endpoint{id: "putPolicy", method: http.MethodPut, path: "/projects/{project}/policies/{name}", class: authz.ClassWrite, tag: tag,
		summary: "Set a Rego module: the text itself, or {\"text\": …}"}, s.putPolicy)
	register(s, endpoint{id: "deletePolicy", method: http.MethodDelete, path: "/projects/{project}/policies/{name}", class: authz.ClassWrite, tag: tag,
		status: http.StatusNoContent, summary: "Remove a Rego module"}, s.deletePolicy)
	register(s, endpoint{id: "getPolicyData", method: http.MethodGet, path: "/projects/{project}/policy-data", class: authz.ClassRead, tag: tag,
		summary: "What Rego sees as data.tenant"}, s.getPolicyData)
	register(s, endpoint{id: "putPolicyData", method: http.MethodPut, path: "/projects/{project}/policy-data", class: authz.ClassWrite, tag: tag,
		maxBody: authz.MaxData + 1024, summary: "Set what Rego sees as data.tenant"}, s.putPolicyData)
}

type policyView struct {
	Name string `json:"name"`
	Size int    `json:"size" doc:"Bytes."`
}

func (s *service) listPolicies(ctx context.Context, c *call, in *ListProjectInput) (*page[policyView], error) {
	set, _, err := s.Store.Settings(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(set.Policies, func(a, b settings.Policy) int { return strings.Compare(a.Name, b.Name) })
	items, next, err := cut(set.Policies, in.PageInput, func(p settings.Policy) string { return p.Name })
	return pageOf(items, next, func(p settings.Policy) policyView { return policyView{p.Name, len(p.Text)} }), err
}

// PolicyPath are the parameters of paths of one policy.
type PolicyPath struct {
	ProjectPath
	Name string `path:"name" pattern:"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$" doc:"Name of the module."`
}

type textOutput struct {
	ContentType string `header:"Content-Type"`
	ETag        string `header:"ETag"`
	Body        []byte
}

func (s *service) getPolicy(ctx context.Context, c *call, in *PolicyPath) (*textOutput, error) {
	set, version, err := s.Store.Settings(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	for _, p := range set.Policies {
		if p.Name == in.Name {
			return &textOutput{ContentType: textPlain, ETag: tag(version), Body: []byte(p.Text)}, nil
		}
	}
	return nil, errNotFound
}

const textPlain = "text/plain; charset=utf-8"

type putPolicyInput struct {
	PolicyPath
	Precondition
	ContentType string `header:"Content-Type" hidden:"true"`
	RawBody     []byte `contentType:"text/plain"`
}

// text is the module, in whichever form it was sent.
func (in *putPolicyInput) text() (string, error) {
	if strings.HasPrefix(in.ContentType, "application/json") {
		var body struct {
			Text string `json:"text"`
		}
		if err := metadata.DecodeInto(in.RawBody, &body); err != nil {
			return "", err
		}
		return body.Text, nil
	}
	if !utf8.Valid(in.RawBody) || strings.Contains(string(in.RawBody), "\x00") {
		return "", invalid(wrong("", "expected text in UTF-8"))
	}
	return string(in.RawBody), nil
}

type putPolicyOutput struct {
	ETag string `header:"ETag"`
	Body policyView
}

func (s *service) putPolicy(ctx context.Context, c *call, in *putPolicyInput) (*putPolicyOutput, error) {
	text, err := in.text()
	if err != nil {
		return nil, err
	}
	o, err := s.changeSettings(ctx, c, in.IfMatch, "policy.put", c.in("policies", in.Name), func(set *settings.Settings) error {
		at := slices.IndexFunc(set.Policies, func(p settings.Policy) bool { return p.Name == in.Name })
		if at < 0 {
			if len(set.Policies) == maxPolicies {
				return invalid(wrong("", "expected at most %d modules in a project", maxPolicies))
			}
			at = len(set.Policies)
			set.Policies = append(set.Policies, settings.Policy{Name: in.Name})
		}
		set.Policies[at].Text = text
		return compile(ctx, *set, "/text")
	})
	if err != nil {
		return nil, err
	}
	return &putPolicyOutput{ETag: tag(o.SettingsVersion), Body: policyView{in.Name, len(text)}}, nil
}

// compile checks the policies of settings; mistakes are at a place of the body.
func compile(ctx context.Context, set settings.Settings, pointer string) error {
	modules := make([]authz.Module, len(set.Policies))
	for i, p := range set.Policies {
		modules[i] = authz.Module{Name: p.Name, Text: p.Text}
	}
	_, err := authz.Compile(ctx, modules, set.PolicyData)
	var failed *authz.CompileError
	if asError(err, &failed) {
		return compileProblem(failed, pointer)
	}
	return err
}

func (s *service) deletePolicy(ctx context.Context, c *call, in *PolicyPath) (*empty, error) {
	_, err := s.changeSettings(ctx, c, "", "policy.delete", c.in("policies", in.Name), func(set *settings.Settings) error {
		before := len(set.Policies)
		set.Policies = slices.DeleteFunc(set.Policies, func(p settings.Policy) bool { return p.Name == in.Name })
		if len(set.Policies) == before {
			return errNotFound
		}
		return compile(ctx, *set, "")
	})
	return nil, err
}

func (s *service) getPolicyData(ctx context.Context, c *call, _ *ProjectPath) (*objectOutput, error) {
	set, version, err := s.Store.Settings(ctx, c.project.ID)
	return &objectOutput{ETag: tag(version), Body: jsonObject(set.PolicyData)}, err
}

type putObjectInput struct {
	ProjectPath
	Precondition
	Body jsonObject
}

func (s *service) putPolicyData(ctx context.Context, c *call, in *putObjectInput) (*objectOutput, error) {
	o, err := s.changeSettings(ctx, c, in.IfMatch, "policy_data.put", c.in("policy-data"), func(set *settings.Settings) error {
		set.PolicyData = json.RawMessage(in.Body)
		return compile(ctx, *set, "")
	})
	if err != nil {
		return nil, err
	}
	return &objectOutput{ETag: tag(o.SettingsVersion), Body: jsonObject(o.Settings.PolicyData)}, nil
}

// changeSettings edits a project's settings.
func (s *service) changeSettings(ctx context.Context, c *call, ifMatch, action, target string, edit func(*settings.Settings) error) (revision.Outcome, error) {
	expect, err := precondition(ifMatch)
	if err != nil {
		return revision.Outcome{}, err
	}
	o, err := s.Revisions.Apply(ctx, c.project.ID, revision.Change{
		Author: c.author(), Action: action, Target: target, ExpectSettings: expect,
		Settings: func(set settings.Settings) (settings.Settings, error) {
			err := edit(&set)
			return set, err
		},
	})
	return o, matched(ifMatch, err)
}
