// Package introspect asks a tenant's Postgres what it has and fills a
// catalog.Catalog. services/revision calls it when a project gets a database
// and whenever its tables may have changed; the catalog is then stored, so that
// serving requests never waits for it.
package introspect

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tenantry/tenants/catalog"
)

//go:embed sql/catalog.sql
var catalogSQL string

// Querier is what Read needs of a connection, a pool or a transaction of pgx.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Read asks db for its tables, views, types and constraints in one round trip.
//
// Left out are the system's schemas, temporary tables, hdb_catalog and tables
// that belong to an extension. The order is fixed, so that an unchanged
// database gives an equal catalog with an equal fingerprint. Errors are those of
// pgx, wrapped; the caller owns the catalog.
func Read(ctx context.Context, db Querier) (*catalog.Catalog, error) {
	var text []byte
	if err := db.QueryRow(ctx, catalogSQL).Scan(&text); err != nil {
		return nil, fmt.Errorf("read the database's catalog: %w", err)
	}
	read := &catalog.Catalog{}
	if err := json.Unmarshal(text, read); err != nil {
		return nil, fmt.Errorf("read the database's catalog: %w", err)
	}
	return read, nil
}
