// Package metadataapi serves the dialect's command endpoints: /v1/metadata,
// /v2/query and /v1/query. A command is an edit of the metadata document, made
// through services/revision, SQL on the project's database, or a command of the
// JSON data language, which an instance runs. The router has authenticated the
// caller before; who is no admin may run commands on data alone.
//
// All commands of one request are one piece of work: a bulk is one chain of
// edits with one commit. Commands on data see the edits before them; what they
// write is written at once, as with SQL.
package metadataapi

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"strings"

	"tenantry/api/errcode"
	"tenantry/services/engine/source"
	"tenantry/services/revision"
	"tenantry/tenants"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
	"tenantry/tenants/store"
)

// Endpoint is where a command came in.
type Endpoint string

// The command endpoints.
const (
	Metadata    Endpoint = "v1/metadata"
	Query       Endpoint = "v2/query"
	LegacyQuery Endpoint = "v1/query"
)

// Revisions is what the commands need of services/revision.
type Revisions interface {
	Revise(ctx context.Context, project string, c revision.Change, f func(ctx context.Context, w *revision.Work) error) (revision.Outcome, error)
	View(ctx context.Context, project string) (*revision.Work, error)
}

// API runs commands.
type API struct {
	Revisions Revisions
	Store     *store.Store
	Pools     *source.Pools
}

// envelope is the body of a command.
type envelope struct {
	Type            string          `json:"type"`
	Args            json.RawMessage `json:"args,omitempty"`
	Version         *int            `json:"version,omitempty"`
	ResourceVersion int64           `json:"resource_version,omitempty"`
	// Force lets operations of the allow-list break.
	Force bool `json:"force,omitempty"`
}

// Request is a command, or a bulk of them, with what the edge knows of it.
type Request struct {
	Endpoint Endpoint
	Project  tenants.Project
	Author   revision.Author
	Body     []byte
	// Data is for commands on data.
	Data Data
}

// call is one command on its way.
type call struct {
	api *API
	Request
	// work is nil while a request has no other commands than those on data.
	work *revision.Work
	// within is how many bulks the command is in.
	within int
	envelope
}

// command is what a name stands for.
type command struct {
	// run answers; what it answers is encoded as JSON.
	run func(ctx context.Context, c call) (any, error)
	// reads is true for a command that changes nothing.
	reads bool
	// data is true for a command of the JSON data language.
	data bool
}

// success is the answer of a command that has none of its own.
var success = map[string]string{"message": "success"}

// Run runs the command in body; the second result names it for the audit.
// Errors are *errcode.Error with a path into the body.
func (a *API) Run(ctx context.Context, r Request) ([]byte, string, error) {
	c := call{api: a, Request: r}
	if err := c.read(r.Body); err != nil {
		return nil, "", err
	}
	answer, err := c.start(ctx)
	if err != nil {
		return nil, c.Type, public(err)
	}
	text, err := encode(answer)
	return text, c.Type, err
}

// encode leaves <, > and & as they are: the metadata holds SQL and GraphQL.
func encode(answer any) ([]byte, error) {
	if text, ok := answer.(json.RawMessage); ok {
		return text, nil // rows, as Postgres wrote them
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(answer)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// read reads a command's envelope.
func (c *call) read(body []byte) error {
	body = bytes.TrimSpace(body)
	switch {
	case c.within == 0 && !json.Valid(body): // what lies in a bulk was looked at with it
		return errcode.New(errcode.InvalidJSON, "the body is not valid JSON").At("$")
	case body[0] != '{':
		return errcode.New(errcode.ParseFailed, "parsing Object failed, expected Object, but encountered %s", kindOf(body)).At("$")
	}
	if err := c.envelope.read(body); err != nil {
		return err
	}
	if c.Version != nil && *c.Version != 1 && *c.Version != 2 {
		return errcode.New(errcode.ParseFailed, "expected 1 or 2, encountered %d", *c.Version).At("$.version")
	}
	if len(c.Args) == 0 {
		c.Args = json.RawMessage("{}")
	}
	return nil
}

// read passes over keys that are none of the envelope's: clients send some.
func (e *envelope) read(body []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(body, &keys); err != nil {
		return err
	}
	maps.DeleteFunc(keys, func(key string, _ json.RawMessage) bool {
		return key != "type" && key != "args" && key != "version" && key != "resource_version" && key != "force"
	})
	known, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	return metadata.DecodeInto(known, e)
}

// kindOf names a JSON value as the dialect's messages do.
func kindOf(body []byte) string {
	switch body[0] {
	case '[':
		return "Array"
	case '"':
		return "String"
	case 't', 'f':
		return "Boolean"
	case 'n':
		return "Null"
	}
	return "Number"
}

// second reports whether the command asks for its second form.
func (c call) second() bool { return c.Version != nil && *c.Version == 2 }

// name is the command without what names its kind of source.
func (c call) name() string { return strings.TrimPrefix(c.Type, "pg_") }

func (c call) find() (command, error) {
	name := c.name()
	if found, ok := commands(c.Endpoint)[name]; ok {
		return found, nil
	}
	if what, ok := unsupported(name); ok {
		return command{}, errcode.New(errcode.NotSupported, "%s are not supported by this version: %q", what, c.Type).At("$.type")
	}
	return command{}, errcode.New(errcode.ParseFailed, "unknown command %q", c.Type).At("$.type")
}

// start runs a request's outermost command.
func (c call) start(ctx context.Context) (answer any, err error) {
	data := c.dataOnly()
	if !data && !c.Data.Session.IsAdmin() {
		return nil, errAdminOnly
	}
	found, err := c.find()
	if err != nil {
		return nil, err
	}
	if data {
		if err := c.checkBatch(); err != nil {
			return nil, err
		}
		return found.run(ctx, c)
	}
	if found.reads {
		if c.work, err = c.api.Revisions.View(ctx, c.Project.ID); err != nil {
			return nil, err
		}
		defer c.work.Close()
		return found.run(ctx, c)
	}
	change := revision.Change{Author: c.Author, Action: "metadata." + c.name(), Target: c.Project.Slug, ExpectVersion: c.ResourceVersion, Force: c.Force}
	out, err := c.api.Revisions.Revise(ctx, c.Project.ID, change, func(ctx context.Context, w *revision.Work) error {
		c.work = w
		answer, err = found.run(ctx, c)
		return err
	})
	if err != nil || out.Broken.None() {
		return answer, err
	}
	return warned(answer, brokenBy(out.Broken)), nil
}

// edit makes one step of the work; object names what it is about.
func (c call) edit(ctx context.Context, object string, f func(*metadata.Document) (*metadata.Document, error)) error {
	return c.work.Edit(ctx, f, revision.Judge{Object: object})
}

// targetOf knows where the relationships lead by now.
func (c call) targetOf() metadata.TargetOf { return c.work.Model().TargetOf }

// decodeArgs reads the arguments strictly; paths begin at the arguments, as the
// dialect's do.
func decodeArgs[A any](c call) (A, error) {
	var args A
	err := metadata.DecodeInto(c.Args, &args)
	return args, err
}

// list is never null in JSON.
func list(objects []model.Inconsistency) []model.Inconsistency {
	if objects == nil {
		return []model.Inconsistency{}
	}
	return objects
}
