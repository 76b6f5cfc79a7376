package metadataapi

import (
	"context"
	"encoding/json"

	"tenantry/services/revision"
	"tenantry/tenants/metadata"
)

// trackTable also takes a bare table name as its arguments: the first form of
// the command, which setups of the dialect still use.
func trackTable(ctx context.Context, c call) (any, error) {
	args, err := trackArgs(c)
	if err != nil {
		return nil, err
	}
	_, err = c.apply(ctx, revision.Change{Metadata: func(doc *metadata.Document) (*metadata.Document, error) {
		return metadata.TrackTable(doc, args)
	}})
	return success, err
}

func trackArgs(c call) (metadata.TrackTableArgs, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(c.Args, &keys); err == nil {
		if _, named := keys["table"]; named {
			return decodeArgs[metadata.TrackTableArgs](c)
		}
		if _, named := keys["name"]; !named {
			return decodeArgs[metadata.TrackTableArgs](c) // whose error names the key that is missing
		}
	}
	name, err := decodeArgs[metadata.TableName](c)
	return metadata.TrackTableArgs{Table: name}, err
}
