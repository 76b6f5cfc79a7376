package control

import (
	"context"
	"net/http"

	"tenantry/api/errcode"
	"tenantry/policy/authz"
	"tenantry/services/engine/codegen"
)

func (s *service) registerCodegen() {
	register(s, endpoint{id: "generateActionHandler", method: http.MethodGet, path: "/projects/{project}/actions/{name}:codegen", class: authz.ClassRead,
		tag: "Actions", summary: "Code that a handler of the action begins with"}, s.generateHandler)
}

type generateHandlerInput struct {
	ActionPath
	Framework string `query:"framework" required:"true" enum:"go,express,next-pages,next-app,python-flask,python-fastapi,java-spring,worker,lambda"`
}

type generatedHandler struct {
	Body struct {
		Action    string              `json:"action"`
		Framework string              `json:"framework"`
		Files     []generatedFileView `json:"files" nullable:"false"`
	}
}

type generatedFileView struct {
	Name     string `json:"name" doc:"Path below the handler's folder, with slashes."`
	Content  string `json:"content"`
	Scaffold bool   `json:"scaffold" doc:"A beginning to be edited: it is not to be written over when the contract changes. The others are not to be edited."`
}

func (s *service) generateHandler(ctx context.Context, c *call, in *generateHandlerInput) (*generatedHandler, error) {
	current, err := s.Revisions.Current(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	if _, ok := current.Document.Action(in.Name); !ok {
		return nil, errNotFound
	}
	files, err := codegen.Generate(current.Document, in.Name, in.Framework, codegen.Options{GraphQLURL: c.viewProject(c.project).Endpoints.GraphQL})
	if err != nil {
		return nil, problem(http.StatusUnprocessableEntity, errcode.ValidationFailed, err.Error())
	}
	out := &generatedHandler{}
	out.Body.Action, out.Body.Framework = in.Name, in.Framework
	for _, f := range files {
		out.Body.Files = append(out.Body.Files, generatedFileView(f))
	}
	return out, nil
}
