package metadataapi

import (
	"context"
	"fmt"

	"tenantry/services/engine/transform"
	"tenantry/tenants/metadata"
)

// createEventTrigger keeps an event trigger in the metadata. Nothing is made in
// the database: events are not delivered, which inconsistencies tell.
func createEventTrigger(ctx context.Context, c call) (any, error) {
	args, err := decodeArgs[metadata.CreateEventTriggerArgs](c)
	if err != nil {
		return nil, err
	}
	if err := checkTransforms(args.RequestTransform, args.ResponseTransform); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("event_trigger %s in %s", args.Name, tableName(args.Source, args.Table))
	return success, c.edit(ctx, name, func(doc *metadata.Document) (*metadata.Document, error) {
		return metadata.CreateEventTrigger(doc, args)
	})
}

// createCronTrigger keeps a cron trigger in the metadata.
func createCronTrigger(ctx context.Context, c call) (any, error) {
	args, err := decodeArgs[metadata.CreateCronTriggerArgs](c)
	if err != nil {
		return nil, err
	}
	if err := checkTransforms(args.RequestTransform, args.ResponseTransform); err != nil {
		return nil, err
	}
	return success, c.edit(ctx, "", func(doc *metadata.Document) (*metadata.Document, error) {
		return metadata.CreateCronTrigger(doc, args)
	})
}

// checkTransforms refuses templates that do not compile; both may be nil.
func checkTransforms(request *metadata.RequestTransform, response *metadata.ResponseTransform) error {
	if _, mistakes := transform.CompileRequest(request); len(mistakes) > 0 {
		return invalidTransform("request", mistakes)
	}
	if _, mistakes := transform.CompileResponse(response); len(mistakes) > 0 {
		return invalidTransform("response", mistakes)
	}
	return nil
}

// getCronTriggers lists all cron triggers, also those that an export leaves out,
// with their defaults.
func getCronTriggers(_ context.Context, c call) (any, error) {
	triggers := []metadata.CronTrigger{}
	for _, t := range c.work.Document().CronTriggers {
		triggers = append(triggers, t.Complete())
	}
	return map[string]any{"cron_triggers": triggers}, nil
}
