package metadataapi

import (
	"context"
	"errors"
	"strings"

	"tenantry/api/errcode"
	"tenantry/ops/audit"
	"tenantry/tenants/metadata"
	"tenantry/tenants/store"
)

// dropAction drops an action and, unless told otherwise, the runs that it has left.
func dropAction(ctx context.Context, c call) (any, error) {
	args, err := decodeArgs[metadata.DropActionArgs](c)
	if err != nil {
		return nil, err
	}
	if err := c.edit(ctx, "", func(doc *metadata.Document) (*metadata.Document, error) { return metadata.DropAction(doc, args.Name) }); err != nil {
		return nil, err
	}
	if args.ClearData == nil || *args.ClearData {
		c.work.Also(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.DeleteRuns(ctx, c.Project.ID, store.RunPurge{Action: args.Name, Open: true})
			return err
		})
	}
	return success, nil
}

// cancelAsyncAction ends an open run of an asynchronous action, as the control API
// does. Like everything in a bulk it is done with the commit.
func cancelAsyncAction(ctx context.Context, c call) (any, error) {
	args, err := decodeArgs[struct {
		ID string `json:"id"`
		// Action is whose run it must be; any action's when empty.
		Action string `json:"action,omitempty"`
	}](c)
	if err != nil {
		return nil, err
	}
	run, err := c.api.Store.Run(ctx, c.Project.ID, args.ID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && args.Action != "" && args.Action != run.Action:
		return nil, errcode.New(errcode.NotExists, "there is no such run: %q", args.ID).At("$.args.id")
	case err != nil:
		return nil, err
	case !run.State.Open():
		return nil, errRunEnded
	}
	event := audit.Event{
		Kind: audit.KindChange, TenantID: c.Project.TenantID, ProjectID: c.Project.ID, Actor: c.Author.Actor, Role: c.Data.Session.Role, Action: "action.run.cancel",
		Target: strings.Join([]string{c.Project.Slug, "actions", run.Action, "runs", run.ID}, "/"), Outcome: audit.OK, RequestID: c.Author.RequestID, IP: c.Author.IP,
	}
	c.work.Also(func(ctx context.Context, tx *store.Tx) error {
		cancelled, err := tx.CancelRun(ctx, c.Project.ID, run.ID)
		if err == nil && !cancelled { // it ended meanwhile
			err = errRunEnded
		}
		tx.Record(event)
		return err
	})
	return success, nil
}

var errRunEnded = errcode.New(errcode.Conflict, "the run has ended already").At("$.args.id")
