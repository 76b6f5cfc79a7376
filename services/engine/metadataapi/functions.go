package metadataapi

import (
	"context"

	"tenantry/tenants/metadata"
)

// trackFunction also takes a bare name as its arguments, as the first form of the
// command does.
func trackFunction(ctx context.Context, c call) (any, error) {
	args, err := functionArgs(c, func(name metadata.TableName) metadata.TrackFunctionArgs {
		return metadata.TrackFunctionArgs{Function: name}
	})
	if err != nil {
		return nil, err
	}
	return success, c.edit(ctx, "function "+args.Function.String(), func(doc *metadata.Document) (*metadata.Document, error) {
		return metadata.TrackFunction(doc, args)
	})
}

func untrackFunction(ctx context.Context, c call) (any, error) {
	args, err := functionArgs(c, func(name metadata.TableName) metadata.FunctionArgs { return metadata.FunctionArgs{Function: name} })
	if err != nil {
		return nil, err
	}
	return success, c.edit(ctx, "", func(doc *metadata.Document) (*metadata.Document, error) { return metadata.UntrackFunction(doc, args) })
}

func functionArgs[A any](c call, bare func(metadata.TableName) A) (A, error) {
	if has(c.Args, "function") || !has(c.Args, "name") && c.Args[0] == '{' {
		return decodeArgs[A](c)
	}
	name, err := decodeArgs[metadata.TableName](c)
	return bare(name), err
}

// addToAllowlist tells when the collection is there already: its scope stays.
func addToAllowlist(ctx context.Context, c call) (any, error) {
	args, err := decodeArgs[metadata.AllowlistEntry](c)
	if err != nil {
		return nil, err
	}
	for _, a := range c.work.Document().Allowlist {
		if a.Collection == args.Collection {
			return map[string]string{"message": `collection "` + args.Collection + `" already exists in the allowlist, scope ignored; ` +
				"to change scope, use update_scope_of_collection_in_allowlist"}, nil
		}
	}
	return success, c.edit(ctx, "", func(doc *metadata.Document) (*metadata.Document, error) {
		return metadata.AddCollectionToAllowlist(doc, args)
	})
}

// inSourceArgs name a source.
type inSourceArgs struct {
	Source string `json:"source,omitempty"`
}

func getNativeQuery(_ context.Context, c call) (any, error) {
	args, err := decodeArgs[inSourceArgs](c)
	if err != nil {
		return nil, err
	}
	source, _, err := c.source(args.Source)
	if err != nil {
		return nil, err
	}
	return append([]metadata.NativeQuery{}, source.NativeQueries...), nil
}

func getLogicalModel(_ context.Context, c call) (any, error) {
	args, err := decodeArgs[inSourceArgs](c)
	if err != nil {
		return nil, err
	}
	source, _, err := c.source(args.Source)
	if err != nil {
		return nil, err
	}
	return append([]metadata.LogicalModel{}, source.LogicalModels...), nil
}
