package store

import (
	"context"
	"encoding/json"
	"fmt"
)

// ToolState is what the dialect's tools keep with a project, such as which
// migrations have run: {} before they kept anything.
func (s *Store) ToolState(ctx context.Context, projectID string) (cli, console json.RawMessage, err error) {
	if !isID(projectID) {
		return nil, nil, ErrNotFound
	}
	var texts [2][]byte
	err = s.pool.QueryRow(ctx, `SELECT
		coalesce((SELECT state::text FROM tenantry.tool_states WHERE project_id = $1 AND tool = 'cli'), '{}'),
		coalesce((SELECT state::text FROM tenantry.tool_states WHERE project_id = $1 AND tool = 'console'), '{}')`,
		projectID).Scan(&texts[0], &texts[1])
	return texts[0], texts[1], wrap("read tool state", err)
}

// PutToolState keeps the state of a tool: cli or console.
func (tx *Tx) PutToolState(ctx context.Context, projectID, tool string, state json.RawMessage) error {
	if !isID(projectID) {
		return ErrNotFound
	}
	if !json.Valid(state) {
		return fmt.Errorf("store: the state of %s is no JSON", tool)
	}
	_, err := tx.tx.Exec(ctx, `INSERT INTO tenantry.tool_states AS t (project_id, tool, state) VALUES ($1, $2, $3::text::json)
		ON CONFLICT (project_id, tool) DO UPDATE SET state = excluded.state, at = now()`, projectID, tool, string(state))
	return wrap("write tool state", err)
}
