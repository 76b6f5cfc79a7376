package metadataapi

import (
	"context"

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
