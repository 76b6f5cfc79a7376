package control

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/policy/authz"
	"tenantry/services/engine/accessview"
	"tenantry/services/engine/impact"
)

func (s *service) registerAccess() {
	tag, root := "Access", "/projects/{project}"
	register(s, endpoint{id: "listAccessRoles", method: http.MethodGet, path: root + "/access/roles", class: authz.ClassRead, tag: tag,
		summary: "Roles that permissions name"}, s.accessRoles)
	register(s, endpoint{id: "getRoleAccess", method: http.MethodGet, path: root + "/access/roles/{role}", class: authz.ClassRead, tag: tag,
		summary: "All that a role may reach"}, s.accessRole)
	register(s, endpoint{id: "getTableAccess", method: http.MethodGet, path: root + "/access/tables/{table}", class: authz.ClassRead, tag: tag,
		summary: "Which roles reach a table, which columns and which rows"}, s.accessTable)
	register(s, endpoint{id: "getActionAccess", method: http.MethodGet, path: root + "/access/actions/{name}", class: authz.ClassRead, tag: tag,
		summary: "Which roles may call an action"}, s.accessAction)
	register(s, endpoint{id: "getEffectiveAccess", method: http.MethodPost, path: root + "/access:effective", class: authz.ClassRead, tag: tag,
		summary: "What a concrete session may reach: rules with its values in their places, and what it lacks"}, s.accessEffective)
	register(s, endpoint{id: "explainAccess", method: http.MethodPost, path: root + "/access:explain", class: authz.ClassRead, tag: tag,
		summary: "What becomes of an operation of a session, and why; nothing of it runs"}, s.accessExplain)
	register(s, endpoint{id: "compareAccess", method: http.MethodPost, path: root + "/access:diff", class: authz.ClassRead, tag: tag,
		summary: "Who may do more, less or otherwise at one revision of the metadata than at another"}, s.accessDiff)
	register(s, endpoint{id: "listAccessFindings", method: http.MethodGet, path: root + "/access/findings", class: authz.ClassRead, tag: tag,
		summary: "Permissions that may let through more than was meant"}, s.accessFindings)
}

type findingsOutput struct {
	Body struct {
		Findings []accessview.Finding `json:"findings" nullable:"false"`
	}
}

func (s *service) accessFindings(ctx context.Context, c *call, _ *ProjectPath) (*findingsOutput, error) {
	p, err := s.Revisions.Access(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	out := &findingsOutput{}
	out.Body.Findings = p.Findings(ctx)
	return out, nil
}

type accessRolesOutput struct {
	Body struct {
		Roles []string `json:"roles" nullable:"false"`
	}
}

func (s *service) accessRoles(ctx context.Context, c *call, _ *ProjectPath) (*accessRolesOutput, error) {
	p, err := s.Revisions.Access(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	out := &accessRolesOutput{}
	out.Body.Roles = append([]string{}, p.Access.Roles()...)
	return out, nil
}

// RolePath are the parameters of paths of one role.
type RolePath struct {
	ProjectPath
	Role string `path:"role" maxLength:"128" doc:"The role; a role that no permission names may do nothing."`
}

type reachOutput struct{ Body accessview.Reach }

func (s *service) accessRole(ctx context.Context, c *call, in *RolePath) (*reachOutput, error) {
	if !roleForm().MatchString(in.Role) {
		return nil, invalid(Mistake{Parameter: "role", Message: "expected a role"})
	}
	p, err := s.Revisions.Access(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	return &reachOutput{p.Role(ctx, in.Role, nil)}, nil
}

// AccessTablePath are the parameters of the path of one table's access.
type AccessTablePath struct {
	ProjectPath
	Table string `path:"table" maxLength:"512" doc:"schema.table, or source.schema.table."`
}

type tableAnswerOutput struct{ Body accessview.TableAnswer }

func (s *service) accessTable(ctx context.Context, c *call, in *AccessTablePath) (*tableAnswerOutput, error) {
	p, err := s.Revisions.Access(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	name, err := url.PathUnescape(in.Table)
	answer, ok := p.Table(ctx, name)
	if err != nil || !ok {
		return nil, errNotFound
	}
	return &tableAnswerOutput{answer}, nil
}

type actionReachOutput struct{ Body accessview.ActionReach }

func (s *service) accessAction(ctx context.Context, c *call, in *ActionPath) (*actionReachOutput, error) {
	p, err := s.Revisions.Access(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	answer, ok := p.Action(in.Name)
	if !ok {
		return nil, errNotFound
	}
	return &actionReachOutput{answer}, nil
}

// SessionInput is a concrete session.
type SessionInput struct {
	Role      string            `json:"role,omitempty" maxLength:"128" doc:"The role; that of x-hasura-role when left out."`
	Variables map[string]string `json:"session_variables,omitempty" doc:"The x-hasura-* variables; names in any case."`
	Auth      string            `json:"auth,omitempty" enum:"admin_secret,api_key,jwt,webhook,anonymous,delegation" default:"jwt" doc:"How the session is let in; policies see it. A handler that calls back is delegation."`
	// BackendOnly says that the session has backend privileges.
	BackendOnly bool `json:"backend_privileges,omitempty" doc:"Whether backend-only permissions count."`
}

// session is the session as the engine would see it.
func (in SessionInput) session(project string) (session.Session, error) {
	out := session.Session{Project: project, Role: in.Role, Variables: map[string]string{}, Auth: session.Auth(cmp.Or(in.Auth, string(session.AuthJWT))), BackendOnly: in.BackendOnly}
	for name, value := range in.Variables {
		if !session.IsVariable(name) {
			return out, invalid(wrong("/session_variables", "expected names such as x-hasura-user-id, got %q", name))
		}
		out.Variables[strings.ToLower(name)] = value
	}
	named := out.Variables[session.RoleVariable]
	if out.Role == "" {
		out.Role = named
	}
	if !roleForm().MatchString(out.Role) {
		return out, invalid(wrong("/role", "expected a role, here or as x-hasura-role"))
	}
	if named != "" && named != out.Role {
		return out, invalid(wrong("/role", "expected the role that x-hasura-role has, which is %q", named))
	}
	out.Variables[session.RoleVariable] = out.Role
	return out, nil
}

type effectiveInput struct {
	ProjectPath
	Body SessionInput
}

func (s *service) accessEffective(ctx context.Context, c *call, in *effectiveInput) (*reachOutput, error) {
	of, err := in.Body.session(c.project.ID)
	if err != nil {
		return nil, err
	}
	p, err := s.Revisions.Access(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	return &reachOutput{p.Role(ctx, of.Role, &of)}, nil
}

// ExplainBody is a session and its operation.
type ExplainBody struct {
	SessionInput
	Query         string     `json:"query" minLength:"1" doc:"The text of the operation."`
	OperationName string     `json:"operation_name,omitempty"`
	Values        jsonObject `json:"variables,omitempty" doc:"The values of the operation's variables."`
}

// asked is who asks and what.
func (b ExplainBody) asked(projectID string) (session.Session, graphqlhttp.Request, error) {
	of, err := b.session(projectID)
	if err != nil {
		return of, graphqlhttp.Request{}, err
	}
	variables, err := b.values()
	return of, graphqlhttp.Request{Query: b.Query, OperationName: b.OperationName, Variables: variables}, err
}

// values are the variables of the operation; numbers keep their digits.
func (b ExplainBody) values() (map[string]any, error) {
	if len(b.Values) == 0 {
		return nil, nil
	}
	var out map[string]any
	d := json.NewDecoder(bytes.NewReader(b.Values))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		return nil, invalid(wrong("/variables", "expected an object"))
	}
	return out, nil
}

type explainInput struct {
	ProjectPath
	Body struct {
		ExplainBody
		Row *accessview.RowKey `json:"row,omitempty" doc:"A row to tell of which rules the session passes with it; asks for the right to change metadata, because the answer tells of the row."`
	}
}

type explanationOutput struct{ Body accessview.Explanation }

func (s *service) accessExplain(ctx context.Context, c *call, in *explainInput) (*explanationOutput, error) {
	of, request, err := in.Body.asked(c.project.ID)
	if err != nil {
		return nil, err
	}
	p, err := s.Revisions.Access(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	out := &explanationOutput{p.Explain(ctx, of, request)}
	if in.Body.Row == nil {
		return out, nil
	}
	if may, err := s.may(ctx, c, authz.ClassWrite); err != nil || !may {
		return nil, cmp.Or(err, error(errForbidden))
	}
	row, err := p.Row(ctx, of, *in.Body.Row)
	out.Body.Row = &row
	return out, err
}

type diffInput struct {
	ProjectPath
	Body struct {
		From int64 `json:"from" minimum:"1" doc:"A revision of the metadata."`
		To   int64 `json:"to,omitempty" minimum:"1" doc:"Another one; the current one when left out."`
	}
}

type diffOutput struct {
	Body struct {
		From    int64                 `json:"from"`
		To      int64                 `json:"to"`
		Widened bool                  `json:"widened" doc:"Whether somebody may do more, or it is unclear that nobody may."`
		Changes []impact.AccessChange `json:"access_changes" nullable:"false"`
	}
}

func (s *service) accessDiff(ctx context.Context, c *call, in *diffInput) (*diffOutput, error) {
	out := &diffOutput{}
	out.Body.From, out.Body.To = in.Body.From, in.Body.To
	if out.Body.To == 0 {
		current, err := s.Revisions.Current(ctx, c.project.ID)
		if err != nil {
			return nil, err
		}
		out.Body.To = current.ResourceVersion
	}
	changes, err := s.Revisions.CompareAccess(ctx, c.project.ID, out.Body.From, out.Body.To)
	if err != nil {
		return nil, err
	}
	out.Body.Changes = changes
	for _, change := range changes {
		out.Body.Widened = out.Body.Widened || change.Widens()
	}
	return out, nil
}
