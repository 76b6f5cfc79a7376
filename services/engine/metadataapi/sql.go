package metadataapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"tenantry/api/errcode"
	"tenantry/services/live"
	"tenantry/services/revision"
	"tenantry/tenants/metadata"
	"tenantry/tenants/store"
)

// runSQLArgs are the arguments of run_sql.
type runSQLArgs struct {
	Source           string `json:"source,omitempty"`
	SQL              string `json:"sql"`
	Cascade          bool   `json:"cascade,omitempty"`
	CheckConsistency *bool  `json:"check_metadata_consistency,omitempty"`
	ReadOnly         bool   `json:"read_only,omitempty"`
	NoTransaction    bool   `json:"no_transaction,omitempty"`
}

// runSQL runs statements on a source and makes the project follow what they did
// to the schema.
func runSQL(ctx context.Context, c call) (any, error) {
	args, err := decodeArgs[runSQLArgs](c)
	if err != nil {
		return nil, err
	}
	if args.Source == "" {
		args.Source = metadata.DefaultSource
	}
	result, err := c.runStatements(ctx, args)
	if err != nil {
		return nil, err
	}
	if !args.ReadOnly {
		sum := sha256.Sum256([]byte(args.SQL))
		_, err = c.apply(ctx, revision.Change{
			Introspect: true, AllowInconsistent: true, Also: audited, Detail: map[string]any{"sql_sha256": hex.EncodeToString(sum[:]), "source": args.Source},
		})
		if err != nil {
			return nil, err
		}
	}
	return result, nil
}

// audited has nothing to add: SQL is audited whether or not it changed the
// catalog.
func audited(context.Context, *store.Tx) error { return nil }

func (c call) runStatements(ctx context.Context, args runSQLArgs) (any, error) {
	state, err := c.api.Store.LoadProject(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	doc, err := metadata.Decode(state.Document)
	if err != nil {
		return nil, err
	}
	for _, s := range doc.Sources {
		if s.Name != args.Source {
			continue
		}
		opened, err := live.OpenSource(c.api.Pools, s, state.Project, state.Settings)
		if err != nil {
			return nil, err
		}
		defer opened.Close()
		rows, err := opened.Script(ctx, args.SQL, args.ReadOnly, args.NoTransaction)
		if err != nil {
			return nil, err
		}
		if rows == nil {
			return map[string]any{"result_type": "CommandOk", "result": nil}, nil
		}
		return map[string]any{"result_type": "TuplesOk", "result": rows}, nil
	}
	return nil, errcode.New(errcode.NotExists, "source with name %q does not exist", args.Source).At("$.args.source")
}
