package control

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"tenantry/policy/authz"
	"tenantry/services/engine/impact"
	"tenantry/services/revision"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
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
	register(s, endpoint{id: "listPolicyRevisions", method: http.MethodGet, path: "/projects/{project}/policy-revisions", class: authz.ClassRead, tag: tag,
		summary: "Versions of a project's settings, the policies among them"}, s.listPolicyRevisions)
	register(s, endpoint{id: "rollbackPolicies", method: http.MethodPost, path: "/projects/{project}/policies:rollback", class: authz.ClassWrite, tag: tag,
		summary: "Make the policies and their data those of an earlier version"}, s.rollbackPolicies)
	register(s, endpoint{id: "getPolicyData", method: http.MethodGet, path: "/projects/{project}/policy-data", class: authz.ClassRead, tag: tag,
		summary: "What Rego sees as data.tenant"}, s.getPolicyData)
	register(s, endpoint{id: "putPolicyData", method: http.MethodPut, path: "/projects/{project}/policy-data", class: authz.ClassWrite, tag: tag,
		maxBody: authz.MaxData + 1024, summary: "Set what Rego sees as data.tenant"}, s.putPolicyData)
	register(s, endpoint{id: "getPolicyShadow", method: http.MethodGet, path: "/projects/{project}/policy-shadow", class: authz.ClassRead, tag: tag,
		summary: "Where the modules on trial would have decided otherwise, as this node has counted"}, s.getPolicyShadow)
	register(s, endpoint{id: "getPolicyLog", method: http.MethodGet, path: "/projects/{project}/policy-log", class: authz.ClassRead, tag: tag,
		summary: "What is kept of the policy's answers"}, s.getPolicyLog)
	register(s, endpoint{id: "putPolicyLog", method: http.MethodPut, path: "/projects/{project}/policy-log", class: authz.ClassWrite, tag: tag,
		summary: "Say what is kept of the policy's answers; denials always are"}, s.putPolicyLog)
}

// The modes of a module.
const (
	modeEnforce = "enforce"
	modeShadow  = "shadow"
)

type policyView struct {
	Name     string    `json:"name"`
	Size     int       `json:"size" doc:"Bytes."`
	Mode     string    `json:"mode" enum:"enforce,shadow" doc:"A module in shadow decides nothing: what it would decide otherwise is counted."`
	Warnings []Mistake `json:"warnings,omitempty" doc:"Conditions that are undefined for some tables."`
	// Of an answer to a change, what it has broken.
	Operations []impact.BrokenOperation `json:"broken_operations,omitempty" doc:"Of a change: operations of the allow-list that the policy denies to a role, which could run them before."`
	Endpoints  []impact.BrokenEndpoint  `json:"broken_endpoints,omitempty" doc:"Of a change: REST endpoints that the policy denies to a role, which could call them before."`
}

// PolicyMode is which of the modules of a name is meant.
type PolicyMode struct {
	Mode string `query:"mode" enum:"enforce,shadow" default:"enforce" doc:"shadow: the module on trial, which may have the name of one that decides."`
}

// list are the modules of the mode.
func (m PolicyMode) list(set *settings.Settings) *[]settings.Policy {
	if m.Mode == modeShadow {
		return &set.ShadowPolicies
	}
	return &set.Policies
}

func (s *service) listPolicies(ctx context.Context, c *call, in *ListProjectInput) (*page[policyView], error) {
	set, _, err := s.Store.Settings(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	var views []policyView
	for _, p := range set.Policies {
		views = append(views, policyView{Name: p.Name, Size: len(p.Text), Mode: modeEnforce})
	}
	for _, p := range set.ShadowPolicies {
		views = append(views, policyView{Name: p.Name, Size: len(p.Text), Mode: modeShadow})
	}
	key := func(p policyView) string { return p.Name + "\x00" + p.Mode }
	slices.SortFunc(views, func(a, b policyView) int { return strings.Compare(key(a), key(b)) })
	items, next, err := cut(views, in.PageInput, key)
	return pageOf(items, next, func(p policyView) policyView { return p }), err
}

// PolicyPath are the parameters of paths of one policy.
type PolicyPath struct {
	ProjectPath
	Name string `path:"name" maxLength:"128" pattern:"^[A-Za-z0-9_][A-Za-z0-9_.-]*$" doc:"Name of the module."`
}

type textOutput struct {
	ContentType string `header:"Content-Type"`
	ETag        string `header:"ETag"`
	Body        []byte
}

type policyInput struct {
	PolicyPath
	PolicyMode
}

func (s *service) getPolicy(ctx context.Context, c *call, in *policyInput) (*textOutput, error) {
	set, version, err := s.Store.Settings(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	for _, p := range *in.list(&set) {
		if p.Name == in.Name {
			return &textOutput{ContentType: textPlain, ETag: tag(version), Body: []byte(p.Text)}, nil
		}
	}
	return nil, errNotFound
}

const textPlain = "text/plain; charset=utf-8"

type putPolicyInput struct {
	PolicyPath
	PolicyMode
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
		list := in.list(set)
		at := slices.IndexFunc(*list, func(p settings.Policy) bool { return p.Name == in.Name })
		if at < 0 {
			if len(*list) == maxPolicies {
				return invalid(wrong("", "expected at most %d modules in a project", maxPolicies))
			}
			at = len(*list)
			*list = append(*list, settings.Policy{Name: in.Name})
		}
		(*list)[at].Text = text
		return nil
	})
	if err != nil {
		return nil, err
	}
	view := policyView{Name: in.Name, Size: len(text), Mode: in.Mode, Operations: o.Broken.Operations, Endpoints: o.Broken.Endpoints}
	for _, w := range o.PolicyWarnings {
		view.Warnings = append(view.Warnings, Mistake{Pointer: "/text", Message: w.Module + ": " + w.Message, Line: w.Row, Column: w.Col})
	}
	return &putPolicyOutput{ETag: tag(o.SettingsVersion), Body: view}, nil
}

func (s *service) deletePolicy(ctx context.Context, c *call, in *policyInput) (*empty, error) {
	_, err := s.changeSettings(ctx, c, "", "policy.delete", c.in("policies", in.Name), func(set *settings.Settings) error {
		list := in.list(set)
		before := len(*list)
		*list = slices.DeleteFunc(*list, func(p settings.Policy) bool { return p.Name == in.Name })
		if len(*list) == before {
			return errNotFound
		}
		return nil
	})
	return nil, err
}

func (s *service) listPolicyRevisions(ctx context.Context, c *call, in *ListProjectInput) (*page[revisionView], error) {
	items, next, err := s.Store.SettingsRevisions(ctx, c.project.ID, in.page())
	return pageOf(items, next, func(r store.Revision) revisionView {
		return revisionView{r.Version, actorView{r.Author.Kind, r.Author.ID}, r.At.UTC()}
	}), err
}

type policyRollbackInput struct {
	ProjectPath
	Precondition
	Body struct {
		Revision int64 `json:"revision" minimum:"1"`
	}
}

type policyRollbackOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		Revision int64        `json:"revision" doc:"The version that was made."`
		Policies []policyView `json:"policies"`
		// What is denied now.
		Operations []impact.BrokenOperation `json:"broken_operations,omitempty" doc:"Operations of the allow-list that the policy denies to a role, which could run them before."`
		Endpoints  []impact.BrokenEndpoint  `json:"broken_endpoints,omitempty" doc:"REST endpoints that the policy denies to a role, which could call them before."`
	}
}

// rollbackPolicies takes modules and data from an earlier version. Other settings
// stay as they are.
func (s *service) rollbackPolicies(ctx context.Context, c *call, in *policyRollbackInput) (*policyRollbackOutput, error) {
	old, err := s.Store.SettingsRevision(ctx, c.project.ID, in.Body.Revision)
	if notFound(err) {
		return nil, invalid(wrong("/revision", "the project has no such revision"))
	}
	if err != nil {
		return nil, err
	}
	o, err := s.changeSettings(ctx, c, in.IfMatch, "policy.rollback", c.in("policies"), func(set *settings.Settings) error {
		set.Policies, set.ShadowPolicies, set.PolicyData = old.Policies, old.ShadowPolicies, old.PolicyData
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &policyRollbackOutput{ETag: tag(o.SettingsVersion)}
	out.Body.Revision, out.Body.Policies = o.SettingsVersion, []policyView{}
	out.Body.Operations, out.Body.Endpoints = o.Broken.Operations, o.Broken.Endpoints
	for _, p := range o.Settings.Policies {
		out.Body.Policies = append(out.Body.Policies, policyView{Name: p.Name, Size: len(p.Text), Mode: modeEnforce})
	}
	return out, nil
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
		return nil
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
