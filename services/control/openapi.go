package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tenantry/api/errcode"
	"tenantry/policy/authz"
	"tenantry/services/engine/openapi"
	"tenantry/services/engine/schema/sdl"
	"tenantry/services/revision"
	"tenantry/tenants/metadata"
)

func (s *service) registerOpenAPI() {
	register(s, endpoint{id: "importActions", method: http.MethodPost, path: "/projects/{project}/actions:import-openapi", class: authz.ClassWrite,
		tag: "Actions", maxBody: 6 << 20, summary: "Definitions of actions, made of the operations of an OpenAPI document; nothing is stored without apply"}, s.importActions)
	register(s, endpoint{id: "getActionDocument", method: http.MethodGet, path: "/projects/{project}/actions/{name}/openapi", class: authz.ClassRead,
		tag: "Actions", summary: "The OpenAPI 3.1 document of the action's handler: what it is sent, and what it may answer"}, s.describeHandler)
}

func (s *service) describeHandler(ctx context.Context, c *call, in *ActionPath) (*objectOutput, error) {
	current, err := s.Revisions.Current(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	if _, ok := current.Document.Action(in.Name); !ok {
		return nil, errNotFound
	}
	text, err := openapi.Describe(current.Document, in.Name)
	if err != nil {
		return nil, err
	}
	return &objectOutput{ETag: tag(current.ResourceVersion), Body: text}, nil
}

// documentText is a document as text, or as the JSON object that it is.
type documentText string

// Schema of the document in the OpenAPI document.
func (documentText) Schema(huma.Registry) *huma.Schema {
	text := &huma.Schema{Type: huma.TypeString, MinLength: ptr(1)}
	text.PrecomputeMessages()
	object := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
	object.PrecomputeMessages()
	return &huma.Schema{OneOf: []*huma.Schema{text, object}, Description: "An OpenAPI 3.0 or 3.1 document: JSON or YAML as text, or the JSON object. References out of it are not followed."}
}

// UnmarshalJSON reads either form.
func (d *documentText) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte(`"`)) {
		return json.Unmarshal(data, (*string)(d))
	}
	*d = documentText(data)
	return nil
}

type importActionsInput struct {
	ProjectPath
	Precondition
	Body struct {
		Document    documentText `json:"document"`
		Operations  []string     `json:"operations,omitempty" maxItems:"200" nullable:"false" doc:"Ids of the operations; all when absent. An operation without an id has one of its method and path."`
		Handler     string       `json:"handler,omitempty" maxLength:"4096" doc:"URL that the paths are appended to, in place of the document's first server; may hold {{VARIABLE}}."`
		Prefix      string       `json:"prefix,omitempty" maxLength:"64" pattern:"^[A-Za-z][A-Za-z0-9_]*$" doc:"Begins the names of all types."`
		Permissions []string     `json:"permissions,omitempty" nullable:"false" doc:"Roles that may call the actions."`
		Apply       bool         `json:"apply,omitempty" doc:"Register the actions, all or none."`
		Replace     bool         `json:"replace,omitempty" doc:"With apply: actions of the same names are replaced."`
	}
}

type importActionsOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		Applied     bool               `json:"applied"`
		Definitions []importedView     `json:"definitions" nullable:"false"`
		Metadata    jsonObject         `json:"metadata" doc:"The actions and custom types in the form of the metadata."`
		Unmapped    []openapi.Unmapped `json:"unmapped" nullable:"false" doc:"Operations that can't be actions."`
		Notes       []openapi.Note     `json:"notes" nullable:"false" doc:"What is left out, or less exact than in the document."`
	}
}

type importedView struct {
	Operation  string `json:"operation" doc:"Id of the operation."`
	Pointer    string `json:"pointer" doc:"Place of the operation in the document."`
	Name       string `json:"name" doc:"Name of the action."`
	Type       string `json:"type" enum:"mutation,query"`
	Handler    string `json:"handler"`
	Definition string `json:"definition" doc:"SDL of the action and its types."`
}

func (s *service) importActions(ctx context.Context, c *call, in *importActionsInput) (*importActionsOutput, error) {
	set, _, err := s.Store.Settings(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	imported, err := openapi.Import(string(in.Body.Document), openapi.Options{
		Operations: in.Body.Operations, Handler: in.Body.Handler, Prefix: in.Body.Prefix, Roles: in.Body.Permissions,
	})
	if err != nil {
		return nil, importProblem(err)
	}
	var all []metadata.Action
	out := &importActionsOutput{}
	out.Body.Definitions = []importedView{}
	for _, d := range imported.Definitions {
		if mistakes := s.checkHandler(d.Action.Definition.Handler, set); len(mistakes) > 0 {
			return nil, invalid(mistakes...)
		}
		doc := &metadata.Document{CustomTypes: &d.Types}
		out.Body.Definitions = append(out.Body.Definitions, importedView{
			Operation: d.Operation, Pointer: d.Pointer, Name: d.Action.Name, Type: d.Action.Definition.Type,
			Handler: d.Action.Definition.Handler, Definition: sdl.PrintAction(doc, &d.Action),
		})
		all = append(all, d.Action)
	}
	out.Body.Unmapped, out.Body.Notes = append([]openapi.Unmapped{}, imported.Unmapped...), append([]openapi.Note{}, imported.Notes...)
	if out.Body.Metadata, err = fragment(imported.Definitions, all); err != nil {
		return nil, err
	}
	if !in.Body.Apply || len(all) == 0 {
		return out, nil
	}
	expect, err := precondition(in.IfMatch)
	if err != nil {
		return nil, err
	}
	var places []origin
	o, err := s.Revisions.Apply(ctx, c.project.ID, revision.Change{
		Author: c.author(), Action: "action.import", Target: c.in("actions"), ExpectVersion: expect,
		Metadata: func(doc *metadata.Document) (*metadata.Document, error) {
			edited, err := withDefinitions(doc, imported.Definitions, in.Body.Replace)
			if edited != nil {
				places = importPlaces(edited, imported.Definitions)
			}
			return edited, err
		},
	})
	if err != nil {
		return nil, inDocument(matched(in.IfMatch, err), places)
	}
	out.ETag, out.Body.Applied = tag(o.ResourceVersion), true
	return out, nil
}

// fragment shows definitions as the part of a metadata document that they are.
func fragment(definitions []openapi.Definition, actions []metadata.Action) (jsonObject, error) {
	doc := &metadata.Document{}
	for _, d := range definitions {
		merged, err := sdl.MergeTypes(doc, d.Types, d.Action.Name)
		if err != nil {
			return nil, conflictOf(err, "/document"+d.Pointer)
		}
		doc.CustomTypes = merged
		doc.Actions = append(doc.Actions, d.Action)
	}
	return asObject(struct {
		Actions     []metadata.Action     `json:"actions,omitempty"`
		CustomTypes *metadata.CustomTypes `json:"custom_types,omitempty"`
	}{actions, doc.CustomTypes})
}

// withDefinitions puts actions with their types into a copy of a document.
func withDefinitions(doc *metadata.Document, definitions []openapi.Definition, replace bool) (*metadata.Document, error) {
	doc = doc.Clone()
	var taken []Mistake
	for _, d := range definitions {
		at := slices.IndexFunc(doc.Actions, func(a metadata.Action) bool { return a.Name == d.Action.Name })
		if at >= 0 && !replace {
			taken = append(taken, wrong("/document"+d.Pointer+"/operationId", "an action %q is registered already; replace puts the new one in its place", d.Action.Name))
			continue
		}
		types, err := sdl.MergeTypes(doc, d.Types, d.Action.Name)
		if err != nil {
			return nil, conflictOf(err, "/document"+d.Pointer)
		}
		doc.CustomTypes = types
		if at < 0 {
			doc.Actions = append(doc.Actions, d.Action)
		} else {
			doc.Actions[at] = d.Action
		}
	}
	if len(taken) > 0 {
		p := problem(http.StatusConflict, errcode.AlreadyExists, "actions of these names are registered already")
		p.Errors = taken
		return nil, p
	}
	return doc, validated(doc, "$")
}

// importProblem tells what is wrong with a document, by its places.
func importProblem(err error) error {
	var refused *openapi.Error
	if !errors.As(err, &refused) {
		return err
	}
	p := invalid()
	for _, n := range refused.Notes {
		at := "/document"
		switch {
		case strings.HasPrefix(n.Message, "there is no operation"):
			at = "/operations"
		default:
			at += n.Pointer
		}
		p.Errors = append(p.Errors, wrong(at, "%s", n.Message))
	}
	return p
}
