package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tenantry/api/errcode"
	"tenantry/services/engine/schema/sdl"
	"tenantry/services/revision"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
	"tenantry/tenants/settings"
)

// actionInput is an action as people register it: its contract as SDL.
type actionInput struct {
	Name                 string                    `json:"name,omitempty" maxLength:"128" doc:"Required with POST."`
	Comment              string                    `json:"comment,omitempty" maxLength:"4096"`
	Definition           string                    `json:"definition" minLength:"1" maxLength:"262144" doc:"SDL: type Mutation or Query with the one field, and the types that it needs."`
	Handler              string                    `json:"handler" minLength:"1" maxLength:"4096" doc:"URL; may hold {{VARIABLE}}."`
	Kind                 string                    `json:"kind,omitempty" enum:"synchronous,asynchronous"`
	Type                 string                    `json:"type,omitempty" enum:"synchronous,asynchronous,mutation,query" doc:"The same as kind; or the root, which must be that of the definition."`
	Timeout              int                       `json:"timeout,omitempty" minimum:"1" maximum:"600" doc:"Seconds; 30 when absent."`
	ForwardClientHeaders bool                      `json:"forward_client_headers,omitempty"`
	IgnoredClientHeaders []string                  `json:"ignored_client_headers,omitempty" nullable:"false"`
	Headers              []headerView              `json:"headers,omitempty" nullable:"false"`
	Permissions          []actionRole              `json:"permissions,omitempty" nullable:"false"`
	Relationships        []actionRelationshipInput `json:"relationships,omitempty" nullable:"false"`
	CallSettings
	ActionTransforms
	// SDL is not read: whoever changes what GET answered sends it back with it.
	SDL string `json:"sdl,omitempty" doc:"What GET answers; it is the definition that counts."`
}

// CallSettings say how a handler is called and what of its answer is passed on.
type CallSettings struct {
	Retry                  *metadata.ActionRetry `json:"retry,omitempty" doc:"When the handler is called again. A synchronous mutation needs idempotency for it."`
	Idempotency            bool                  `json:"idempotency,omitempty" doc:"The handler does a thing once for each webhook-id."`
	MaxAgeSeconds          int                   `json:"max_age_seconds,omitempty" minimum:"0" doc:"How long a run of an asynchronous action may wait for its result; a day when absent."`
	MaxConcurrency         int                   `json:"max_concurrency,omitempty" minimum:"0" doc:"Calls at a time on each node; no bound of its own when absent."`
	ForwardResponseHeaders []string              `json:"forward_response_headers,omitempty" nullable:"false" doc:"Headers of the handler's answer that the client gets, beside Set-Cookie."`
	Expose5xxMessage       bool                  `json:"expose_5xx_message,omitempty" doc:"The client sees the message of a 5xx answer."`
}

func callSettings(d *metadata.ActionDefinition) CallSettings {
	return CallSettings{d.Retry, d.Idempotency, d.MaxAgeSeconds, d.MaxConcurrency, d.ForwardResponseHeaders, d.Expose5xxMessage}
}

func (c CallSettings) put(d *metadata.ActionDefinition) {
	d.Retry, d.Idempotency, d.MaxAgeSeconds = c.Retry, c.Idempotency, c.MaxAgeSeconds
	d.MaxConcurrency, d.ForwardResponseHeaders, d.Expose5xxMessage = c.MaxConcurrency, c.ForwardResponseHeaders, c.Expose5xxMessage
}

// actionRelationshipInput joins an output type with a table. The metadata's own
// names are taken too.
type actionRelationshipInput struct {
	Type         string            `json:"type,omitempty" doc:"The output type that gets it; the action's own when absent. With the metadata's names: object or array."`
	Name         string            `json:"name" minLength:"1"`
	Kind         string            `json:"kind,omitempty" enum:"object,array"`
	Source       string            `json:"source,omitempty"`
	Table        *tableInput       `json:"table,omitempty"`
	RemoteTable  *tableInput       `json:"remote_table,omitempty" doc:"The same as table."`
	Mapping      map[string]string `json:"mapping,omitempty" doc:"Field of the type to column of the table."`
	FieldMapping map[string]string `json:"field_mapping,omitempty" doc:"The same as mapping."`
}

// tableInput is a table's name: text means the schema public, or schema.table.
type tableInput struct{ metadata.TableName }

// Schema of the name in the OpenAPI document.
func (tableInput) Schema(huma.Registry) *huma.Schema {
	text := &huma.Schema{Type: huma.TypeString, MinLength: ptr(1)}
	text.PrecomputeMessages()
	object := &huma.Schema{Type: huma.TypeObject, Required: []string{"name"}, AdditionalProperties: false,
		Properties: map[string]*huma.Schema{"schema": text, "name": text}}
	object.PrecomputeMessages()
	return &huma.Schema{OneOf: []*huma.Schema{text, object}, Description: "A table: name (of the schema public) or {schema, name}."}
}

// UnmarshalJSON reads either form.
func (t *tableInput) UnmarshalJSON(data []byte) error { return t.TableName.UnmarshalJSON(data) }

// actionRole is a role that may call an action, or {role, comment} as the metadata
// has it.
type actionRole struct{ metadata.ActionPermission }

// Schema of the role in the OpenAPI document.
func (actionRole) Schema(huma.Registry) *huma.Schema {
	text := &huma.Schema{Type: huma.TypeString, MinLength: ptr(1)}
	text.PrecomputeMessages()
	any := &huma.Schema{Type: huma.TypeString}
	any.PrecomputeMessages()
	object := &huma.Schema{Type: huma.TypeObject, Required: []string{"role"}, AdditionalProperties: false,
		Properties: map[string]*huma.Schema{"role": text, "comment": any}}
	object.PrecomputeMessages()
	return &huma.Schema{OneOf: []*huma.Schema{text, object}, Description: "A role, or {role, comment}."}
}

// UnmarshalJSON reads either form.
func (r *actionRole) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte(`"`)) {
		return json.Unmarshal(data, &r.Role)
	}
	return json.Unmarshal(data, &r.ActionPermission)
}

// MarshalJSON writes the object only for a role with a comment: most have none.
func (r actionRole) MarshalJSON() ([]byte, error) {
	if r.Comment == "" {
		return json.Marshal(r.Role)
	}
	return json.Marshal(r.ActionPermission)
}

// registration is an action that was read, ready to be put into a document.
type registration struct {
	in       *actionInput
	action   metadata.Action
	types    metadata.CustomTypes
	mistakes []Mistake
	// origin is where in the body a path of the last edited document came from,
	// longest first.
	origin []origin
}

type origin struct{ path, pointer string }

// read turns the body into metadata. The registration is nil when the text of
// the definition can't be read.
func (in *actionInput) read() (*registration, []Mistake) {
	var mistakes []Mistake
	if !model.ValidName(in.Name) {
		mistakes = append(mistakes, wrong("/name", "expected a GraphQL name"))
	}
	parsed, err := sdl.ParseAction(in.Definition, in.Name)
	if err != nil {
		return nil, append(mistakes, definitionMistakes(err)...)
	}
	r := &registration{in: in, types: parsed.Types, action: metadata.Action{Name: in.Name, Comment: in.Comment, Definition: parsed.Definition}}
	if r.action.Comment == "" {
		r.action.Comment = parsed.Comment
	}
	d := &r.action.Definition
	d.Handler, d.Kind, d.Timeout = in.Handler, in.Kind, in.Timeout
	d.ForwardClientHeaders, d.IgnoredClientHeaders = in.ForwardClientHeaders, in.IgnoredClientHeaders
	in.put(d)
	mistakes = append(mistakes, in.putTransforms(d)...)
	switch in.Type {
	case "synchronous", "asynchronous":
		if in.Kind != "" && in.Kind != in.Type {
			mistakes = append(mistakes, wrong("/type", "expected the same as kind"))
		}
		d.Kind = in.Type
	case "mutation", "query":
		if root := d.Type; root != in.Type && !(root == "" && in.Type == "mutation") {
			mistakes = append(mistakes, wrong("/type", "expected the root type of the definition"))
		}
	}
	for _, h := range in.Headers {
		d.Headers = append(d.Headers, metadata.Header(h))
	}
	mistakes = append(mistakes, r.addPermissions()...)
	return r, append(mistakes, r.addRelationships()...)
}

func definitionMistakes(err error) []Mistake {
	var text *sdl.Error
	if !errors.As(err, &text) {
		return []Mistake{wrong("/definition", "expected SDL")}
	}
	var mistakes []Mistake
	for _, p := range text.Problems {
		mistakes = append(mistakes, Mistake{Pointer: "/definition", Message: p.Message, Line: p.Line, Column: p.Column})
	}
	return mistakes
}

func (r *registration) addPermissions() (mistakes []Mistake) {
	seen := map[string]bool{}
	for i, p := range r.in.Permissions {
		if seen[p.Role] {
			mistakes = append(mistakes, wrong(fmt.Sprintf("/permissions/%d", i), "the role is listed twice"))
			continue
		}
		seen[p.Role] = true
		r.action.Permissions = append(r.action.Permissions, p.ActionPermission)
	}
	return mistakes
}

// addRelationships hangs the relationships on the types of the definition.
func (r *registration) addRelationships() (mistakes []Mistake) {
	for i := range r.in.Relationships {
		at := fmt.Sprintf("/relationships/%d", i)
		in := r.in.Relationships[i]
		typeName, found, wrongs := in.read(at)
		mistakes = append(mistakes, wrongs...)
		if typeName == "" {
			if ref, err := model.ParseTypeRef(r.action.Definition.OutputType); err == nil {
				typeName = ref.Base()
			}
		}
		o := slices.IndexFunc(r.types.Objects, func(o metadata.ObjectType) bool { return o.Name == typeName })
		switch {
		case o < 0:
			mistakes = append(mistakes, wrong(at+"/type", "the definition has no output type %q", typeName))
		case len(wrongs) == 0:
			r.types.Objects[o].Relationships = append(r.types.Objects[o].Relationships, found)
		}
	}
	return mistakes
}

// read settles which of two names for the same was used.
func (in *actionRelationshipInput) read(at string) (typeName string, found metadata.TypeRelationship, mistakes []Mistake) {
	found = metadata.TypeRelationship{Name: in.Name, Source: in.Source, Type: in.Kind, FieldMapping: in.Mapping}
	typeName = in.Type
	if in.Kind == "" {
		// In the metadata's own form the type is object or array.
		if in.Type == "object" || in.Type == "array" {
			found.Type, typeName = in.Type, ""
		} else {
			mistakes = append(mistakes, wrong(at+"/kind", "expected object or array"))
		}
	}
	if (in.Table == nil) == (in.RemoteTable == nil) {
		mistakes = append(mistakes, wrong(at+"/table", "expected one table, as table or as remote_table"))
	}
	for _, t := range []*tableInput{in.Table, in.RemoteTable} {
		if t != nil {
			found.RemoteTable = t.TableName
		}
	}
	if (in.Mapping == nil) == (in.FieldMapping == nil) {
		mistakes = append(mistakes, wrong(at+"/mapping", "expected one mapping, as mapping or as field_mapping"))
	}
	if in.FieldMapping != nil {
		found.FieldMapping = in.FieldMapping
	}
	return typeName, found, mistakes
}

// into puts the action into a document, in place of one of its name, and notes
// where its parts are.
func (r *registration) into(doc *metadata.Document) (*metadata.Document, error) {
	doc = doc.Clone()
	types, err := sdl.MergeTypes(doc, r.types, r.action.Name)
	if err != nil {
		return nil, conflictOf(err, "/definition")
	}
	doc.CustomTypes = types
	index := slices.IndexFunc(doc.Actions, func(a metadata.Action) bool { return a.Name == r.action.Name })
	if index < 0 {
		index = len(doc.Actions)
		doc.Actions = append(doc.Actions, metadata.Action{})
	}
	doc.Actions[index] = r.action
	r.locate(doc, fmt.Sprintf("$.actions[%d]", index))
	return doc, validated(doc, "$")
}

func conflictOf(err error, at string) error {
	var conflict *sdl.ConflictError
	if !errors.As(err, &conflict) {
		return err
	}
	p := problem(http.StatusConflict, errcode.Conflict, conflict.Error())
	for _, t := range conflict.Conflicts {
		owner := "the custom types"
		if len(t.Owners) > 0 {
			owner = "the action " + strings.Join(t.Owners, ", ")
		}
		p.Errors = append(p.Errors, wrong(at, "the type %s of %s is declared differently by %s", t.Type, conflict.Action, owner))
	}
	return p
}

// locate notes which paths of the document came from which places of the body.
func (r *registration) locate(doc *metadata.Document, action string) {
	r.origin = []origin{
		{action + ".definition.handler", "/handler"}, {action + ".definition.kind", "/kind"}, {action + ".definition.headers", "/headers"},
		{action + ".definition.timeout", "/timeout"}, {action + ".permissions", "/permissions"}, {action + ".name", "/name"},
		{action + ".definition.retry", "/retry"}, {action + ".definition.max_age_seconds", "/max_age_seconds"},
		{action + ".definition.max_concurrency", "/max_concurrency"}, {action + ".definition.forward_response_headers", "/forward_response_headers"},
		{action + ".definition.request_transform", "/request_transform"}, {action + ".definition.response_transform", "/response_transform"},
		{action, "/definition"},
	}
	if doc.CustomTypes == nil {
		return
	}
	for i, o := range doc.CustomTypes.Objects {
		for j, relationship := range o.Relationships {
			at := fmt.Sprintf("$.custom_types.objects[%d].relationships[%d]", i, j)
			if k := r.given(o.Name, relationship.Name); k >= 0 {
				pointer := fmt.Sprintf("/relationships/%d", k)
				given := r.in.Relationships[k]
				table, mapping := "/table", "/mapping"
				if given.RemoteTable != nil {
					table = "/remote_table"
				}
				if given.FieldMapping != nil {
					mapping = "/field_mapping"
				}
				r.origin = append(r.origin, origin{at + ".remote_table", pointer + table}, origin{at + ".type", pointer + "/kind"})
				for _, field := range slices.Sorted(maps.Keys(relationship.FieldMapping)) {
					r.origin = append(r.origin, origin{at + ".field_mapping." + field, pointer + mapping + "/" + escapePointer(field)})
				}
				r.origin = append(r.origin, origin{at + ".field_mapping", pointer + mapping}, origin{at + ".name", pointer + "/name"}, origin{at, pointer})
			}
		}
	}
	r.origin = append(r.origin, origin{"$.custom_types", "/definition"})
}

// given finds the relationship of the body that became one of a type.
func (r *registration) given(typeName, name string) int {
	return slices.IndexFunc(r.in.Relationships, func(in actionRelationshipInput) bool {
		owner, _, _ := in.read("")
		if owner == "" {
			ref, _ := model.ParseTypeRef(r.action.Definition.OutputType)
			owner = ref.Base()
		}
		return owner == typeName && in.Name == name
	})
}

// explain adds what the document's own check found to the mistakes of the body.
func (r *registration) explain(err error) error {
	var inconsistent *revision.Inconsistent
	if !errors.As(err, &inconsistent) {
		if len(r.mistakes) > 0 {
			p := problemOf(err)
			p.Errors = append(slices.Clone(r.mistakes), p.Errors...)
			return p
		}
		return err
	}
	p := invalid(r.mistakes...)
	for _, o := range inconsistent.Objects {
		for _, from := range r.origin {
			if o.Kept {
				break
			}
			if o.Pointer == from.path || strings.HasPrefix(o.Pointer, from.path+".") || strings.HasPrefix(o.Pointer, from.path+"[") {
				rest := pointerOf("$" + strings.TrimPrefix(o.Pointer, from.path))
				if from.pointer == "/definition" {
					rest = ""
				}
				p.Errors = append(p.Errors, wrong(from.pointer+rest, "%s", o.Reason))
				break
			}
		}
	}
	if len(p.Errors) == 0 { // a side effect on something else
		return err
	}
	return p
}

// checkHandler refuses handlers that can't be called. What is made of variables
// is checked with their present values; the guard looks again at every call.
func (s *service) checkHandler(handler string, set settings.Settings) []Mistake {
	url, missing := set.Expand(handler)
	if len(missing) > 0 {
		return nil
	}
	if err := s.CheckEgress(url); err != nil {
		return []Mistake{wrong("/handler", "%s", errcode.From(err).Message)}
	}
	return nil
}
