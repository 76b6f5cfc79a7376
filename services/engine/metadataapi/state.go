package metadataapi

import (
	"context"
	"encoding/json"

	"tenantry/api/errcode"
	"tenantry/tenants/store"
)

// getCatalogState answers what the tools keep with a project.
func getCatalogState(ctx context.Context, c call) (any, error) {
	cli, console, err := c.api.Store.ToolState(ctx, c.Project.ID)
	if err != nil {
		return nil, err
	}
	return map[string]any{"id": c.Project.ID, "cli_state": cli, "console_state": console}, nil
}

// setCatalogState keeps a state as it is given.
func setCatalogState(_ context.Context, c call) (any, error) {
	args, err := decodeArgs[struct {
		Type  string          `json:"type"`
		State json.RawMessage `json:"state"`
	}](c)
	if err != nil {
		return nil, err
	}
	if args.Type != "cli" && args.Type != "console" {
		return nil, errcode.New(errcode.ParseFailed, "expected cli or console").At("$.type")
	}
	c.work.Also(func(ctx context.Context, tx *store.Tx) error {
		return tx.PutToolState(ctx, c.Project.ID, args.Type, args.State)
	})
	return success, nil
}
