package introspect

import (
	"context"
	"encoding/json"
	"fmt"

	"tenantry/tenants/catalog"
)

// Identities are the tables, columns and functions of a database by what stays
// when they are renamed. They hold within one database only and are not kept.
type Identities struct {
	Tables    map[string]TableIdentity    `json:"tables"`    // by oid
	Functions map[string]FunctionIdentity `json:"functions"` // by oid
}

// TableIdentity is a relation's name and its columns by number.
type TableIdentity struct {
	catalog.Name
	Columns map[string]ColumnIdentity `json:"columns"`
}

// ColumnIdentity is a column's name and type.
type ColumnIdentity struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// FunctionIdentity is a function's name and whether it is volatile.
type FunctionIdentity struct {
	catalog.Name
	Volatile bool `json:"volatile"`
}

const identitySQL = `SELECT pg_catalog.json_build_object(
  'tables', (
    SELECT coalesce(pg_catalog.json_object_agg(c.oid::text, pg_catalog.json_build_object('schema', n.nspname, 'name', c.relname, 'columns', (
      SELECT coalesce(pg_catalog.json_object_agg(a.attnum::text, pg_catalog.json_build_object(
        'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, NULL))), '{}')
      FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))), '{}')
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'hdb_catalog')),
  'functions', (
    SELECT coalesce(pg_catalog.json_object_agg(p.oid::text, pg_catalog.json_build_object(
      'schema', n.nspname, 'name', p.proname, 'volatile', p.provolatile = 'v')), '{}')
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prokind = 'f' AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'hdb_catalog')
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')))`

// Identify reads the identities as a connection sees them, in its transaction.
func Identify(ctx context.Context, db Querier) (*Identities, error) {
	text, err := askFor(ctx, db, identitySQL)
	if err != nil {
		return nil, fmt.Errorf("read identities: %w", err)
	}
	found := &Identities{}
	if err := json.Unmarshal(text, found); err != nil {
		return nil, fmt.Errorf("read identities: %w", err)
	}
	return found, nil
}
