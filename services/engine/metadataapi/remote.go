package metadataapi

import (
	"context"
	"fmt"

	"tenantry/api/errcode"
	"tenantry/tenants/metadata"
)

// remoteRelationship makes a command of an edit of a relationship to another
// source. Those to remote schemas, which the first form of the commands was for,
// are refused.
func remoteRelationship(f func(*metadata.Document, metadata.RemoteRelationshipArgs) (*metadata.Document, error)) command {
	return command{run: func(ctx context.Context, c call) (any, error) {
		if has(c.Args, "remote_schema") {
			return nil, remoteSchemaRefused("$.args.remote_schema")
		}
		args, err := decodeArgs[metadata.RemoteRelationshipArgs](c)
		if err != nil {
			return nil, err
		}
		if args.Definition.Kept != nil {
			return nil, remoteSchemaRefused("$.args.definition")
		}
		name := fmt.Sprintf("remote_relationship %s in %s", args.Name, tableName(args.Source, args.Table))
		return success, c.edit(ctx, name, func(doc *metadata.Document) (*metadata.Document, error) { return f(doc, args) })
	}}
}

func remoteSchemaRefused(path string) error {
	return errcode.New(errcode.NotSupported, "relationships to remote schemas are not supported by this version").At(path)
}
