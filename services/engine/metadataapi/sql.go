package metadataapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/jackc/pgx/v5"

	"tenantry/services/engine/introspect"
	"tenantry/services/engine/source"
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
	opened, err := c.work.Open(args.Source)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	script := source.Script{SQL: args.SQL, ReadOnly: args.ReadOnly, Plain: args.NoTransaction}
	if !args.ReadOnly {
		sum := sha256.Sum256([]byte(args.SQL))
		c.work.Ran(map[string]any{"sql_sha256": hex.EncodeToString(sum[:]), "source": args.Source})
		c.follow(&script, args)
	}
	var rows [][]string
	err = c.work.Attempt(func() (err error) {
		rows, err = opened.Script(ctx, script)
		return err
	})
	if err != nil {
		return nil, err
	}
	if rows == nil {
		return map[string]any{"result_type": "CommandOk", "result": nil}, nil
	}
	return map[string]any{"result_type": "TuplesOk", "result": rows}, nil
}

// follow lets the work follow the script before it commits.
func (c call) follow(script *source.Script, args runSQLArgs) {
	checked := args.CheckConsistency == nil || *args.CheckConsistency
	var before *introspect.Identities
	if checked {
		script.Before = func(ctx context.Context, conn *pgx.Conn) (err error) {
			before, err = introspect.Identify(ctx, conn)
			return err
		}
	}
	script.After = func(ctx context.Context, conn *pgx.Conn) error {
		if !checked {
			return c.work.ReadOn(ctx, conn, args.Source)
		}
		after, err := introspect.Identify(ctx, conn)
		if err != nil {
			return err
		}
		return c.adapt(ctx, conn, args, before, after)
	}
}

// adapt changes the metadata as the tables have changed, and judges what is left
// by the new catalog.
func (c call) adapt(ctx context.Context, conn *pgx.Conn, args runSQLArgs, before, after *introspect.Identities) error {
	var of *metadata.Source
	doc := c.work.Document()
	for i := range doc.Sources {
		if doc.Sources[i].Name == args.Source {
			of = &doc.Sources[i]
		}
	}
	tables, functions := changes(of, before, after)
	targetOf := c.targetOf()
	// Once the statements have committed by themselves, nothing can be refused.
	judge := revision.Judge{Allow: conn.PgConn().TxStatus() == 'I'}
	return c.work.Adapt(ctx, conn, args.Source, func(doc *metadata.Document) (*metadata.Document, error) {
		return metadata.Follow(doc, metadata.FollowArgs{
			Source: args.Source, Tables: tables, Functions: functions, Cascade: args.Cascade,
		}, targetOf)
	}, judge)
}
