package metadataapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"tenantry/api/errcode"
	"tenantry/services/engine/impact"
	"tenantry/services/revision"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// exportMetadata answers the bare document, or with its version (version 2).
func exportMetadata(_ context.Context, c call) (any, error) {
	text, err := metadata.Encode(metadata.Exported(c.work.Document()))
	if err != nil {
		return nil, err
	}
	if c.second() {
		return map[string]any{"resource_version": c.work.ResourceVersion(), "metadata": json.RawMessage(text)}, nil
	}
	return json.RawMessage(text), nil
}

// replaceArgs is the second form of replace_metadata.
type replaceArgs struct {
	Metadata          json.RawMessage `json:"metadata"`
	AllowInconsistent bool            `json:"allow_inconsistent_metadata,omitempty"`
	AllowWarnings     *bool           `json:"allow_warnings,omitempty"`
	DropOwn           bool            `json:"drop_own,omitempty"`
	DryRun            bool            `json:"dry_run,omitempty"`
}

// replaceMetadata takes the bare document, or {metadata, allow_inconsistent…}.
// It makes a new version even of an equal document.
func replaceMetadata(ctx context.Context, c call) (any, error) {
	args, at := replaceArgs{Metadata: c.Args}, "$.args"
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(c.Args, &keys); err != nil {
		return nil, errcode.New(errcode.ParseFailed, "expected a metadata document").At(at)
	}
	if _, second := keys["metadata"]; second {
		var err error
		if args, err = decodeArgs[replaceArgs](c); err != nil {
			return nil, err
		}
		at += ".metadata"
	}
	doc, err := metadata.Decode(args.Metadata)
	if err != nil {
		return nil, placed(err, at)
	}
	replace := func(before *metadata.Document) (*metadata.Document, error) {
		if !args.DropOwn {
			if err := metadata.KeepsOwn(before, doc); err != nil {
				return nil, err
			}
		}
		return metadata.WithUnexported(doc, before), nil
	}
	if args.DryRun {
		return c.preview(ctx, replace)
	}
	if err := c.work.Read(ctx, true); err != nil {
		return nil, err
	}
	if args.AllowInconsistent {
		c.work.Force()
	}
	err = c.work.Edit(ctx, replace, revision.Judge{Whole: true, Allow: args.AllowInconsistent})
	if err != nil {
		return nil, err
	}
	c.work.Bump()
	if !c.second() {
		return success, nil
	}
	found := c.work.Inconsistencies()
	return map[string]any{"is_consistent": len(found) == 0, "inconsistent_objects": list(found)}, nil
}

// preview answers what a new document would mean, and changes nothing.
func (c call) preview(ctx context.Context, replace func(*metadata.Document) (*metadata.Document, error)) (any, error) {
	found, means, err := c.work.Preview(ctx, replace)
	if err != nil {
		return nil, err
	}
	return preview{IsConsistent: len(found) == 0, Objects: list(found), Impact: means}, nil
}

type preview struct {
	IsConsistent bool                  `json:"is_consistent"`
	Objects      []model.Inconsistency `json:"inconsistent_objects"`
	*impact.Impact
}

// placed puts the problems of a part of the body in their place.
func placed(err error, at string) error {
	var decode *metadata.DecodeError
	if !errors.As(err, &decode) {
		return err
	}
	moved := &metadata.DecodeError{}
	for _, p := range decode.Problems {
		moved.Problems = append(moved.Problems, metadata.Problem{Path: at + strings.TrimPrefix(p.Path, "$"), Message: p.Message})
	}
	return moved
}

func clearMetadata(ctx context.Context, c call) (any, error) {
	return success, c.work.Edit(ctx, func(doc *metadata.Document) (*metadata.Document, error) { return metadata.Clear(doc), nil },
		revision.Judge{Allow: true})
}

// reloadArgs are accepted for the tools that send them; a reload always reads
// everything again.
type reloadArgs struct {
	RemoteSchemas json.RawMessage `json:"reload_remote_schemas,omitempty"`
	Sources       json.RawMessage `json:"reload_sources,omitempty"`
	Triggers      json.RawMessage `json:"recreate_event_triggers,omitempty"`
}

func reloadMetadata(ctx context.Context, c call) (any, error) {
	if _, err := decodeArgs[reloadArgs](c); err != nil {
		return nil, err
	}
	if err := c.work.Read(ctx, true); err != nil {
		return nil, err
	}
	c.work.Bump()
	found := c.work.Inconsistencies()
	answer := map[string]any{"message": "success", "is_consistent": len(found) == 0}
	if len(found) > 0 {
		answer["inconsistent_objects"] = list(found)
	}
	return answer, nil
}

func getInconsistent(_ context.Context, c call) (any, error) {
	found := c.work.Inconsistencies()
	return map[string]any{"is_consistent": len(found) == 0, "inconsistent_objects": list(found)}, nil
}

// dropRounds bounds how often what is left is looked at: dropping an object can
// leave another without what it needs.
const dropRounds = 50

// dropInconsistent removes what does not resolve until all that is left does.
func dropInconsistent(ctx context.Context, c call) (any, error) {
	for range dropRounds {
		found := c.work.Inconsistencies()
		if len(found) == 0 {
			return success, nil
		}
		pointers := make([]string, len(found))
		for i := range found {
			pointers[i] = found[i].Pointer
		}
		err := c.work.Edit(ctx, func(doc *metadata.Document) (*metadata.Document, error) { return metadata.DropAt(doc, pointers) },
			revision.Judge{Allow: true})
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("inconsistent objects remain after %d rounds of dropping", dropRounds)
}

// dumpState shows what the engine has made of the metadata, for people who look
// for a mistake.
func dumpState(_ context.Context, c call) (any, error) {
	m := c.work.Model()
	tables := map[string]any{}
	for _, t := range m.Tables {
		columns := make([]string, len(t.Columns))
		for i, col := range t.Columns {
			columns[i] = col.Name
		}
		relationships := map[string]string{}
		for _, r := range t.Relationships {
			relationships[r.Name] = r.Target.Name.String()
		}
		tables[t.Source+"."+t.Name.String()] = map[string]any{"type": t.Type, "columns": columns, "relationships": relationships}
	}
	actions := make([]string, len(m.Actions))
	for i, a := range m.Actions {
		actions[i] = a.Name
	}
	return map[string]any{
		"resource_version": c.work.ResourceVersion(), "tables": tables, "actions": actions, "roles": m.Roles,
		"inconsistent_objects": list(c.work.Inconsistencies()), "warnings": list(m.Warnings),
	}, nil
}
