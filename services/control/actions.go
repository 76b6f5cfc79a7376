package control

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"tenantry/policy/authz"
	"tenantry/services/engine/schema/sdl"
	"tenantry/services/revision"
	"tenantry/tenants/metadata"
	"tenantry/tenants/store"
)

func (s *service) registerActions() {
	tag := "Actions"
	register(s, endpoint{id: "listActions", method: http.MethodGet, path: "/projects/{project}/actions", class: authz.ClassRead, tag: tag,
		summary: "Actions of a project"}, s.listActions)
	register(s, endpoint{id: "createAction", method: http.MethodPost, path: "/projects/{project}/actions", class: authz.ClassWrite, tag: tag,
		status: http.StatusCreated, summary: "Register an action"}, s.createAction)
	register(s, endpoint{id: "getAction", method: http.MethodGet, path: "/projects/{project}/actions/{name}", class: authz.ClassRead, tag: tag,
		summary: "One action"}, s.getAction)
	register(s, endpoint{id: "putAction", method: http.MethodPut, path: "/projects/{project}/actions/{name}", class: authz.ClassWrite, tag: tag,
		summary: "Replace an action"}, s.putAction)
	register(s, endpoint{id: "deleteAction", method: http.MethodDelete, path: "/projects/{project}/actions/{name}", class: authz.ClassWrite, tag: tag,
		status: http.StatusNoContent, summary: "Remove an action and the types that nobody else uses"}, s.deleteAction)
}

type actionOutput struct {
	ETag string `header:"ETag"`
	Body actionView
}

type actionView struct {
	ActionSummary
	SDL           string                   `json:"sdl,omitempty" doc:"The fields and types that the action adds to the schema."`
	Definition    string                   `json:"definition"`
	Relationships []actionRelationshipView `json:"relationships" nullable:"false"`
}

// ActionSummary is an action without its contract.
type ActionSummary struct {
	Name                 string       `json:"name"`
	Comment              string       `json:"comment,omitempty"`
	Type                 string       `json:"type" enum:"mutation,query"`
	Handler              string       `json:"handler"`
	Kind                 string       `json:"kind" enum:"synchronous,asynchronous"`
	Timeout              int          `json:"timeout" doc:"Seconds."`
	ForwardClientHeaders bool         `json:"forward_client_headers"`
	IgnoredClientHeaders []string     `json:"ignored_client_headers,omitempty"`
	Headers              []headerView `json:"headers" nullable:"false"`
	Permissions          []actionRole `json:"permissions" nullable:"false"`
	CallSettings
	ActionTransforms
}

type headerView struct {
	Name         string `json:"name" minLength:"1" maxLength:"256"`
	Value        string `json:"value,omitempty" maxLength:"8192"`
	ValueFromEnv string `json:"value_from_env,omitempty" maxLength:"256"`
}

type actionRelationshipView struct {
	Type    string            `json:"type" doc:"The output type that has it."`
	Name    string            `json:"name"`
	Kind    string            `json:"kind" enum:"object,array"`
	Source  string            `json:"source,omitempty"`
	Table   string            `json:"table"`
	Mapping map[string]string `json:"mapping"`
}

func summarize(a *metadata.Action) ActionSummary {
	d := &a.Definition
	v := ActionSummary{
		Name: a.Name, Comment: a.Comment, Type: d.Type, Handler: d.Handler, Kind: d.Kind, Timeout: d.Timeout,
		ForwardClientHeaders: d.ForwardClientHeaders, IgnoredClientHeaders: d.IgnoredClientHeaders,
		Headers: []headerView{}, Permissions: []actionRole{}, CallSettings: callSettings(d), ActionTransforms: actionTransforms(d),
	}
	if v.Type == "" {
		v.Type = "mutation"
	}
	if v.Kind == "" {
		v.Kind = "synchronous"
	}
	if v.Timeout == 0 {
		v.Timeout = 30
	}
	for _, h := range d.Headers {
		v.Headers = append(v.Headers, headerView(h))
	}
	for _, p := range a.Permissions {
		v.Permissions = append(v.Permissions, actionRole{p})
	}
	return v
}

// viewAction shows an action of a document with the text of its types.
func viewAction(doc *metadata.Document, a *metadata.Action) actionView {
	v := actionView{ActionSummary: summarize(a), Relationships: []actionRelationshipView{}}
	v.Definition = sdl.PrintAction(doc, a)
	v.SDL = v.Definition
	if doc.CustomTypes == nil {
		return v
	}
	for _, o := range doc.CustomTypes.Objects {
		if !strings.Contains(v.Definition, "type "+o.Name+" ") {
			continue
		}
		for _, r := range o.Relationships {
			v.Relationships = append(v.Relationships, actionRelationshipView{
				Type: o.Name, Name: r.Name, Kind: r.Type, Source: r.Source, Table: r.RemoteTable.String(), Mapping: r.FieldMapping,
			})
		}
	}
	return v
}

func (s *service) listActions(ctx context.Context, c *call, in *ListProjectInput) (*page[ActionSummary], error) {
	current, err := s.Revisions.Current(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	actions := slices.Clone(current.Document.Actions)
	key := func(a metadata.Action) string { return a.Name }
	slices.SortFunc(actions, func(a, b metadata.Action) int { return strings.Compare(a.Name, b.Name) })
	items, next, err := cut(actions, in.PageInput, key)
	return pageOf(items, next, func(a metadata.Action) ActionSummary { return summarize(&a) }), err
}

// ActionPath are the parameters of paths of one action.
type ActionPath struct {
	ProjectPath
	Name string `path:"name" maxLength:"128" doc:"Name of the action."`
}

func (s *service) getAction(ctx context.Context, c *call, in *ActionPath) (*actionOutput, error) {
	current, err := s.Revisions.Current(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	return showAction(current, in.Name)
}

func showAction(o revision.Outcome, name string) (*actionOutput, error) {
	a, ok := o.Document.Action(name)
	if !ok {
		return nil, errNotFound
	}
	return &actionOutput{ETag: tag(o.ResourceVersion), Body: viewAction(o.Document, a)}, nil
}

type createActionInput struct {
	ProjectPath
	Precondition
	Body actionInput
}

func (s *service) createAction(ctx context.Context, c *call, in *createActionInput) (*actionOutput, error) {
	return s.storeAction(ctx, c, in.IfMatch, revision.Change{Action: "action.create"}, &in.Body, func(doc *metadata.Document) error {
		if _, exists := doc.Action(in.Body.Name); exists {
			p := problem(http.StatusConflict, "already-exists", "an action of this name is registered already; PUT replaces it")
			p.Errors = []Mistake{wrong("/name", "taken")}
			return p
		}
		return nil
	})
}

type putActionInput struct {
	ActionPath
	Precondition
	Forced
	Body actionInput
}

func (s *service) putAction(ctx context.Context, c *call, in *putActionInput) (*actionOutput, error) {
	if in.Body.Name == "" {
		in.Body.Name = in.Name
	}
	if in.Body.Name != in.Name {
		return nil, invalid(wrong("/name", "expected the name that the path has, or none"))
	}
	return s.storeAction(ctx, c, in.IfMatch, revision.Change{Action: "action.replace", Force: in.Force}, &in.Body, func(*metadata.Document) error { return nil })
}

// storeAction puts an action and its types into the metadata. may refuses by
// what the document has.
func (s *service) storeAction(ctx context.Context, c *call, ifMatch string, change revision.Change, in *actionInput, may func(*metadata.Document) error) (*actionOutput, error) {
	expect, err := precondition(ifMatch)
	if err != nil {
		return nil, err
	}
	set, _, err := s.Store.Settings(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	r, mistakes := in.read()
	mistakes = append(mistakes, s.checkHandler(in.Handler, set)...)
	if r == nil {
		return nil, invalid(mistakes...)
	}
	r.mistakes = mistakes
	// What the database has to say is asked for even if there are mistakes
	// already: all of them are told at once.
	change.Author, change.Target, change.ExpectVersion, change.DryRun = c.author(), c.in("actions", in.Name), expect, len(mistakes) > 0
	change.Metadata = func(doc *metadata.Document) (*metadata.Document, error) {
		if err := may(doc); err != nil {
			return nil, err
		}
		return r.into(doc)
	}
	o, err := s.Revisions.Apply(ctx, c.project.ID, change)
	if err != nil {
		return nil, r.explain(matched(ifMatch, err))
	}
	if len(mistakes) > 0 {
		return nil, r.explain(&revision.Inconsistent{Objects: o.Inconsistencies})
	}
	return showAction(o, in.Name)
}

type deleteActionInput struct {
	ActionPath
	Forced
	ClearData bool `query:"clear_data" doc:"Delete the runs of an asynchronous action, too. Without it open ones fail, and all are kept as long as others."`
}

func (s *service) deleteAction(ctx context.Context, c *call, in *deleteActionInput) (*empty, error) {
	change := revision.Change{
		Author: c.author(), Action: "action.delete", Target: c.in("actions", in.Name), Force: in.Force,
		Metadata: func(doc *metadata.Document) (*metadata.Document, error) {
			if _, ok := doc.Action(in.Name); !ok {
				return nil, errNotFound
			}
			types := sdl.Without(doc.CustomTypes, sdl.Owned(doc, in.Name))
			doc, err := metadata.DropAction(doc, in.Name)
			if err != nil {
				return nil, err
			}
			doc.CustomTypes = types
			return doc, nil
		},
	}
	if in.ClearData {
		change.Also = func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.DeleteRuns(ctx, c.project.ID, store.RunPurge{Action: in.Name, Open: true})
			return err
		}
	}
	_, err := s.Revisions.Apply(ctx, c.project.ID, change)
	return nil, err
}
