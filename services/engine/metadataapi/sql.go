package metadataapi

import (
	"context"

	"tenantry/services/revision"
	"tenantry/tenants/metadata"
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

// runSQL runs statements on a source and makes the metadata follow what they did
// to its tables. What others depend on can't go without cascade: the statements
// are rolled back then.
func runSQL(ctx context.Context, c call) (any, error) {
	args, err := decodeArgs[runSQLArgs](c)
	if err != nil {
		return nil, err
	}
	if args.Source == "" {
		args.Source = metadata.DefaultSource
	}
	rows, err := c.work.RunSQL(ctx, revision.SQL{
		Source: args.Source, Text: args.SQL, Cascade: args.Cascade, ReadOnly: args.ReadOnly, Plain: args.NoTransaction,
		Unchecked: args.CheckConsistency != nil && !*args.CheckConsistency,
	})
	if err != nil {
		return nil, err
	}
	if rows == nil {
		return map[string]any{"result_type": "CommandOk", "result": nil}, nil
	}
	return map[string]any{"result_type": "TuplesOk", "result": rows}, nil
}
