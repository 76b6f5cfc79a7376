package control

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"tenantry/api/errcode"
	"tenantry/policy/authz"
	"tenantry/services/engine/codegen"
	"tenantry/services/engine/derive"
	"tenantry/services/engine/schema/sdl"
	"tenantry/tenants/metadata"
)

func (s *service) registerDerivation() {
	register(s, endpoint{id: "deriveAction", method: http.MethodPost, path: "/projects/{project}/actions:derive", class: authz.ClassRead,
		tag: "Actions", summary: "An action that does what an operation does: its definition, types and handler; nothing is stored"}, s.deriveAction)
}

type deriveActionInput struct {
	ProjectPath
	Body struct {
		Query         string   `json:"query" minLength:"1" maxLength:"65536" doc:"A query or mutation on the project's schema."`
		OperationName string   `json:"operation_name,omitempty" maxLength:"128" doc:"Required when the text has several operations."`
		Name          string   `json:"name,omitempty" maxLength:"128" doc:"Name of the action; that of the operation when absent."`
		Role          string   `json:"role,omitempty" maxLength:"128" doc:"Whose schema the operation is checked against; admin when absent."`
		Handler       string   `json:"handler,omitempty" maxLength:"4096" doc:"URL; {{HANDLER_BASE}}/name when absent."`
		Permissions   []string `json:"permissions,omitempty" nullable:"false" doc:"Roles that may call the action."`
		Framework     string   `json:"framework,omitempty" enum:"go,express,next-pages,next-app,python-flask,python-fastapi,java-spring,worker,lambda" doc:"Of the handler; go when absent."`
	}
}

type deriveActionOutput struct {
	Body struct {
		Action    derivedAction       `json:"action" doc:"The body that registers the action."`
		Metadata  jsonObject          `json:"metadata" doc:"The action and its custom types in the form of the metadata."`
		Operation string              `json:"operation" doc:"What the handler runs."`
		Framework string              `json:"framework"`
		Files     []generatedFileView `json:"files" nullable:"false"`
		Notes     []string            `json:"notes" nullable:"false" doc:"Where the action's types say less than the operation's."`
	}
}

type derivedAction struct {
	Name        string   `json:"name"`
	Definition  string   `json:"definition"`
	Handler     string   `json:"handler"`
	Permissions []string `json:"permissions" nullable:"false"`
}

func (s *service) deriveAction(ctx context.Context, c *call, in *deriveActionInput) (*deriveActionOutput, error) {
	b := &in.Body
	schema, err := s.Revisions.SDL(ctx, c.project.ID, cmp.Or(b.Role, "admin"))
	if err != nil {
		return nil, err
	}
	d, err := derive.Derive(schema, b.Query, derive.Options{Operation: b.OperationName, Name: b.Name, Handler: b.Handler, Roles: b.Permissions})
	if err != nil {
		return nil, deriveProblem(err)
	}
	if d.Action.Definition.Handler == "" {
		d.Action.Definition.Handler = "{{HANDLER_BASE}}/" + d.Action.Name
	}
	doc := &metadata.Document{Actions: []metadata.Action{d.Action}, CustomTypes: &d.Types}
	framework := cmp.Or(b.Framework, codegen.Names()[0])
	files, err := codegen.Generate(doc, d.Action.Name, framework, codegen.Options{
		GraphQLURL: c.viewProject(c.project).Endpoints.GraphQL, Delegate: &codegen.Delegate{Operation: d.Operation, Field: d.Field},
	})
	if err != nil {
		return nil, problem(http.StatusUnprocessableEntity, errcode.ValidationFailed, err.Error())
	}
	out := &deriveActionOutput{}
	out.Body.Action = derivedAction{d.Action.Name, sdl.PrintAction(doc, &d.Action), d.Action.Definition.Handler, append([]string{}, b.Permissions...)}
	out.Body.Operation, out.Body.Framework, out.Body.Notes = d.Operation, framework, append([]string{}, d.Notes...)
	for _, f := range files {
		out.Body.Files = append(out.Body.Files, generatedFileView(f))
	}
	out.Body.Metadata, err = asObject(struct {
		Actions     []metadata.Action     `json:"actions"`
		CustomTypes *metadata.CustomTypes `json:"custom_types"`
	}{doc.Actions, doc.CustomTypes})
	return out, err
}

func deriveProblem(err error) error {
	var refused *derive.Error
	if !errors.As(err, &refused) {
		return err
	}
	return invalid(Mistake{Pointer: "/query", Message: refused.Message, Line: refused.Line, Column: refused.Column})
}
