package control

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"tenantry/policy/authz"
	"tenantry/tenants/settings"
	"tenantry/tenants/vault"
)

type variableView struct {
	Name   string  `json:"name"`
	Secret bool    `json:"secret"`
	Value  *string `json:"value,omitempty" doc:"Never that of a secret; of others to callers who may see credentials."`
}

type variableOutput struct{ Body variableView }

func (s *service) registerVariables() {
	tag := "Variables"
	register(s, endpoint{id: "listVariables", method: http.MethodGet, path: "/projects/{project}/variables", class: authz.ClassRead, tag: tag,
		summary: "Variables of a project"}, s.listVariables)
	register(s, endpoint{id: "getVariable", method: http.MethodGet, path: "/projects/{project}/variables/{name}", class: authz.ClassRead, tag: tag,
		summary: "One variable"}, s.getVariable)
	register(s, endpoint{id: "putVariable", method: http.MethodPut, path: "/projects/{project}/variables/{name}", class: authz.ClassWrite, tag: tag,
		summary: "Set a variable"}, s.putVariable)
	register(s, endpoint{id: "deleteVariable", method: http.MethodDelete, path: "/projects/{project}/variables/{name}", class: authz.ClassWrite, tag: tag,
		status: http.StatusNoContent, summary: "Remove a variable"}, s.deleteVariable)
}

// databaseVariable is what the metadata calls the project's own database by.
const databaseVariable = "PROJECT_DATABASE_URL"

func viewVariable(v settings.Variable, revealed bool) variableView {
	shown := variableView{Name: v.Name, Secret: v.Secret}
	if revealed && !v.Secret {
		value := v.Value.Reveal()
		shown.Value = &value
	}
	return shown
}

func (s *service) listVariables(ctx context.Context, c *call, in *ListProjectInput) (*page[variableView], error) {
	set, _, err := s.Store.Settings(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	revealed, err := s.may(ctx, c, authz.ClassSecrets)
	if err != nil {
		return nil, err
	}
	list := slices.Clone(set.Variables)
	slices.SortFunc(list, func(a, b settings.Variable) int { return strings.Compare(a.Name, b.Name) })
	items, next, err := cut(list, in.PageInput, func(v settings.Variable) string { return v.Name })
	return pageOf(items, next, func(v settings.Variable) variableView { return viewVariable(v, revealed) }), err
}

// VariablePath are the parameters of paths of one variable.
type VariablePath struct {
	ProjectPath
	Name string `path:"name" maxLength:"128" pattern:"^[A-Za-z_][A-Za-z0-9_]*$" doc:"Name of the variable."`
}

func (s *service) getVariable(ctx context.Context, c *call, in *VariablePath) (*variableOutput, error) {
	set, _, err := s.Store.Settings(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	revealed, err := s.may(ctx, c, authz.ClassSecrets)
	if err != nil {
		return nil, err
	}
	for _, v := range set.Variables {
		if v.Name == in.Name {
			return &variableOutput{viewVariable(v, revealed)}, nil
		}
	}
	return nil, errNotFound
}

type putVariableInput struct {
	VariablePath
	Body struct {
		Value  vault.Secret `json:"value" maxLength:"65536" format:"password" writeOnly:"true"`
		Secret *bool        `json:"secret,omitempty" doc:"Whether the value is never given back; true when absent."`
	}
}

func (s *service) putVariable(ctx context.Context, c *call, in *putVariableInput) (*variableOutput, error) {
	v := settings.Variable{Name: in.Name, Value: in.Body.Value, Secret: in.Body.Secret == nil || *in.Body.Secret}
	message := settings.CheckVariableName(in.Name)
	if in.Name == databaseVariable {
		message = "the name stands for the project's own database; set it with PUT database"
	}
	if message != "" {
		return nil, invalid(Mistake{Parameter: "name", Message: message})
	}
	_, err := s.changeSettings(ctx, c, "", "variable.put", c.in("variables", in.Name), func(set *settings.Settings) error {
		*set = set.WithVariable(v)
		return nil
	})
	if err != nil {
		return nil, err
	}
	revealed, err := s.may(ctx, c, authz.ClassSecrets)
	return &variableOutput{viewVariable(v, revealed)}, err
}

func (s *service) deleteVariable(ctx context.Context, c *call, in *VariablePath) (*empty, error) {
	_, err := s.changeSettings(ctx, c, "", "variable.delete", c.in("variables", in.Name), func(set *settings.Settings) error {
		left, found := set.WithoutVariable(in.Name)
		if !found {
			return errNotFound
		}
		*set = left
		return nil
	})
	return nil, err
}
