package metadataapi

import (
	"context"
	"encoding/json"

	"tenantry/api/errcode"
	"tenantry/services/revision"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// exportMetadata answers the bare document, or with its version (version 2).
func exportMetadata(ctx context.Context, c call) (any, error) {
	now, err := c.api.Revisions.Current(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	text, err := metadata.Encode(now.Document)
	if err != nil {
		return nil, err
	}
	if c.Version == 2 {
		return map[string]any{"resource_version": now.ResourceVersion, "metadata": json.RawMessage(text)}, nil
	}
	return json.RawMessage(text), nil
}

// replaceArgs is the second form of replace_metadata.
type replaceArgs struct {
	Metadata          json.RawMessage `json:"metadata"`
	AllowInconsistent bool            `json:"allow_inconsistent_metadata,omitempty"`
	AllowWarnings     *bool           `json:"allow_warnings,omitempty"`
	DropOwn           bool            `json:"drop_own,omitempty"`
}

// replaceMetadata takes the bare document, or {metadata, allow_inconsistent…}.
func replaceMetadata(ctx context.Context, c call) (any, error) {
	args := replaceArgs{Metadata: c.Args}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(c.Args, &keys); err != nil {
		return nil, errcode.New(errcode.ParseFailed, "expected a metadata document").At("$.args")
	}
	if _, second := keys["metadata"]; second {
		var err error
		if args, err = decodeArgs[replaceArgs](c); err != nil {
			return nil, err
		}
	}
	doc, err := metadata.Decode(args.Metadata)
	if err != nil {
		return nil, err
	}
	out, err := c.apply(ctx, revision.Change{
		Metadata: func(*metadata.Document) (*metadata.Document, error) { return doc, nil },
		Whole:    true, AllowInconsistent: args.AllowInconsistent, Introspect: true,
	})
	if err != nil {
		return nil, err
	}
	if c.Version != 2 {
		return success, nil
	}
	return map[string]any{"is_consistent": len(out.Inconsistencies) == 0, "inconsistent_objects": list(out.Inconsistencies)}, nil
}

func clearMetadata(ctx context.Context, c call) (any, error) {
	_, err := c.apply(ctx, revision.Change{
		Metadata:          func(doc *metadata.Document) (*metadata.Document, error) { return metadata.Clear(doc), nil },
		AllowInconsistent: true,
	})
	return success, err
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
	out, err := c.apply(ctx, revision.Change{Bump: true, Introspect: true, AllowInconsistent: true})
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"message": "success", "is_consistent": len(out.Inconsistencies) == 0}
	if len(out.Inconsistencies) > 0 {
		answer["inconsistent_objects"] = list(out.Inconsistencies)
	}
	return answer, nil
}

func getInconsistent(ctx context.Context, c call) (any, error) {
	now, err := c.api.Revisions.Current(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	return map[string]any{"is_consistent": len(now.Inconsistencies) == 0, "inconsistent_objects": list(now.Inconsistencies)}, nil
}

// list is never null in JSON.
func list(objects []model.Inconsistency) []model.Inconsistency {
	if objects == nil {
		return []model.Inconsistency{}
	}
	return objects
}

// untrackTable needs the model, which knows where a foreign key leads.
func untrackTable(ctx context.Context, c call) (any, error) {
	args, err := decodeArgs[metadata.UntrackTableArgs](c)
	if err != nil {
		return nil, err
	}
	now, err := c.api.Revisions.Current(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	targetOf := func(source string, table metadata.TableName, relationship string) (metadata.TableName, bool) {
		t, ok := now.Model.Tracked(source, table)
		if !ok {
			return metadata.TableName{}, false
		}
		r, ok := t.Relationship(relationship)
		if !ok {
			return metadata.TableName{}, false
		}
		return metadata.TableName{Schema: r.Target.Name.Schema, Name: r.Target.Name.Name}, true
	}
	_, err = c.apply(ctx, revision.Change{Metadata: func(doc *metadata.Document) (*metadata.Document, error) {
		return metadata.UntrackTable(doc, args, targetOf)
	}})
	return success, err
}
