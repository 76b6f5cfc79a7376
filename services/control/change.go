package control

import (
	"context"

	"tenantry/ops/audit"
	"tenantry/tenants/store"
)

// change runs a change of tenants, projects or credentials with its one event,
// and makes this node follow it.
func (s *service) change(ctx context.Context, c *call, e audit.Event, f func(context.Context, *store.Tx) error) error {
	return s.changeWithin(ctx, c, func(ctx context.Context, tx *store.Tx) error {
		tx.Record(e)
		return f(ctx, tx)
	})
}

// changeWithin is change for what knows its event only inside.
func (s *service) changeWithin(ctx context.Context, c *call, f func(context.Context, *store.Tx) error) error {
	if err := s.Store.Change(ctx, nil, f); err != nil {
		return err
	}
	// It was committed: that the request's time runs out now is no reason to
	// serve by the old state.
	ctx = context.WithoutCancel(ctx)
	if c.project.ID != "" {
		s.Reload(ctx, c.project.ID)
		return nil
	}
	for p := (store.Page{Limit: 200}); c.tenant.ID != ""; {
		projects, next, err := s.Store.Projects(ctx, c.tenant.ID, p)
		if err != nil {
			s.Logger.Warn("projects are reloaded a moment later", "type", "metadata", "tenant_id", c.tenant.ID, "error", err)
			return nil
		}
		for _, project := range projects {
			s.Reload(ctx, project.ID)
		}
		if p.Cursor = next; next == "" {
			break
		}
	}
	return nil
}
