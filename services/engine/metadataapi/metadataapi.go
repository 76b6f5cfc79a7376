// Package metadataapi serves the dialect's command endpoints: /v1/metadata,
// /v2/query and /v1/query. A command is an edit of the metadata document, made
// through services/revision, or SQL on the project's database. The router has
// authenticated the caller as admin before.
package metadataapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"tenantry/api/errcode"
	"tenantry/services/engine/source"
	"tenantry/services/revision"
	"tenantry/tenants"
	"tenantry/tenants/metadata"
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
	Apply(ctx context.Context, project string, c revision.Change) (revision.Outcome, error)
	Current(ctx context.Context, project string) (revision.Outcome, error)
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
	Version         int             `json:"version,omitempty"`
	ResourceVersion int64           `json:"resource_version,omitempty"`
}

// call is one command on its way.
type call struct {
	api      *API
	endpoint Endpoint
	project  tenants.Project
	author   revision.Author
	envelope
}

// command runs a call; the answer is encoded as JSON.
type command func(ctx context.Context, c call) (any, error)

// success is the answer of a command that has none of its own.
var success = map[string]string{"message": "success"}

// Run runs the command in body; the second result names it for the audit.
// Errors are *errcode.Error with a path into the body.
func (a *API) Run(ctx context.Context, endpoint Endpoint, project tenants.Project, author revision.Author, body []byte) ([]byte, string, error) {
	c := call{api: a, endpoint: endpoint, project: project, author: author}
	if err := metadata.DecodeInto(body, &c.envelope); err != nil {
		return nil, "", err
	}
	answer, err := c.run(ctx)
	if err != nil {
		return nil, c.Type, public(err)
	}
	text, err := json.Marshal(answer)
	return text, c.Type, err
}

func (c call) run(ctx context.Context) (any, error) {
	run, ok := commands(c.endpoint)[strings.TrimPrefix(c.Type, "pg_")]
	if !ok {
		return nil, errcode.New(errcode.ParseFailed, "unknown command %q", c.Type).At("$.type")
	}
	if len(c.Args) == 0 {
		c.Args = json.RawMessage("{}")
	}
	return run(ctx, c)
}

// commands are those of an endpoint, by name without the prefix pg_. The legacy
// endpoint takes all of them.
func commands(e Endpoint) map[string]command {
	switch e {
	case Metadata:
		return metadataCommands
	case Query:
		return queryCommands
	}
	return allCommands
}

var metadataCommands, queryCommands, allCommands map[string]command

func init() { // literals would refer to themselves through bulk
	queryCommands = map[string]command{"run_sql": runSQL, "bulk": bulk}
	metadataCommands = map[string]command{
		"bulk": bulk, "export_metadata": exportMetadata, "replace_metadata": replaceMetadata, "clear_metadata": clearMetadata,
		"get_inconsistent_metadata":  getInconsistent,
		"reload_metadata":            reloadMetadata,
		"track_table":                trackTable,
		"untrack_table":              untrackTable,
		"create_object_relationship": edit(metadata.CreateObjectRelationship),
		"create_array_relationship":  edit(metadata.CreateArrayRelationship),
		"drop_relationship":          edit(metadata.DropRelationship),
		"create_select_permission":   edit(metadata.CreateSelectPermission),
		"create_insert_permission":   edit(metadata.CreateInsertPermission),
		"create_update_permission":   edit(metadata.CreateUpdatePermission),
		"create_delete_permission":   edit(metadata.CreateDeletePermission),
		"drop_select_permission":     edit(metadata.DropSelectPermission),
		"drop_insert_permission":     edit(metadata.DropInsertPermission),
		"drop_update_permission":     edit(metadata.DropUpdatePermission),
		"drop_delete_permission":     edit(metadata.DropDeletePermission),
		"create_action":              edit(metadata.CreateAction),
		"update_action":              edit(metadata.UpdateAction),
		"create_action_permission":   edit(metadata.CreateActionPermission),
		"drop_action_permission":     edit(metadata.DropActionPermission),
		"set_custom_types":           edit(metadata.SetCustomTypes),
	}
	allCommands = map[string]command{}
	for _, set := range []map[string]command{metadataCommands, queryCommands} {
		for name, run := range set {
			allCommands[name] = run
		}
	}
}

// apply makes a change in the name of the call.
func (c call) apply(ctx context.Context, change revision.Change) (revision.Outcome, error) {
	change.Author, change.Action, change.Target = c.author, "metadata."+strings.TrimPrefix(c.Type, "pg_"), c.project.Slug
	change.ExpectVersion = c.ResourceVersion
	return c.api.Revisions.Apply(ctx, c.project.ID, change)
}

// edit makes a command of a pure edit.
func edit[A any](f func(*metadata.Document, A) (*metadata.Document, error)) command {
	return func(ctx context.Context, c call) (any, error) {
		args, err := decodeArgs[A](c)
		if err != nil {
			return nil, err
		}
		_, err = c.apply(ctx, revision.Change{Metadata: func(doc *metadata.Document) (*metadata.Document, error) { return f(doc, args) }})
		return success, err
	}
}

// decodeArgs reads the arguments strictly; paths begin at $.args.
func decodeArgs[A any](c call) (A, error) {
	var args A
	err := metadata.DecodeInto(c.Args, &args)
	var decode *metadata.DecodeError
	if errors.As(err, &decode) {
		for i := range decode.Problems {
			decode.Problems[i].Path = "$.args" + strings.TrimPrefix(decode.Problems[i].Path, "$")
		}
	}
	return args, err
}

// bulk runs commands one after the other; the first that fails ends it, and the
// path says which.
func bulk(ctx context.Context, c call) (any, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(c.Args, &list); err != nil {
		return nil, errcode.New(errcode.ParseFailed, "expected a list of commands").At("$.args")
	}
	answers := make([]any, 0, len(list))
	for i, body := range list {
		one := call{api: c.api, endpoint: c.endpoint, project: c.project, author: c.author}
		err := metadata.DecodeInto(body, &one.envelope)
		var answer any
		if err == nil {
			answer, err = one.run(ctx)
		}
		if err != nil {
			e := errcode.From(public(err))
			return nil, e.At(fmt.Sprintf("$.args[%d]", i) + strings.TrimPrefix(e.Path, "$"))
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// public turns what the revision service says into the dialect's errors.
func public(err error) error {
	var inconsistent *revision.Inconsistent
	if !errors.As(err, &inconsistent) {
		return err
	}
	message := "cannot continue due to inconsistent metadata"
	if len(inconsistent.Objects) == 1 {
		message = inconsistent.Objects[0].Reason
	}
	return errcode.New(inconsistentCode(inconsistent), "%s", message).At("$.args").WithInternal(inconsistent.Objects)
}

// inconsistentCode names what the one object that does not resolve lacks;
// several are a matter of configuration.
func inconsistentCode(e *revision.Inconsistent) errcode.Code {
	if len(e.Objects) == 1 {
		switch e.Objects[0].Type {
		case "table", "object_relation", "array_relation":
			return errcode.NotExists
		}
		return errcode.ConstraintError
	}
	return errcode.InvalidConfiguration
}
