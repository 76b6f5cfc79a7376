package introspect

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tenantry/tenants/catalog"
)

// maxEnumValues bounds what is read of a table that is used as an enum: a GraphQL
// type of more values helps nobody.
const maxEnumValues = 10_000

// ReadEnums fills the Values of the named tables of c, as far as they have the
// form of an enum. A table that is missing or has another form is passed over:
// tenants/model tells the tenant why.
func ReadEnums(ctx context.Context, db Querier, c *catalog.Catalog, names []catalog.Name) (err error) {
	batch := &pgx.Batch{}
	var tables []*catalog.Table
	for _, name := range names {
		if t, ok := c.Table(name); ok && t.MayBeEnum() {
			tables = append(tables, t)
			batch.Queue(enumSQL(t))
		}
	}
	if len(tables) == 0 {
		return nil
	}
	results := db.SendBatch(ctx, batch)
	defer func() { err = errors.Join(err, results.Close()) }()
	for _, t := range tables {
		rows, err := results.Query()
		if err != nil {
			return fmt.Errorf("read the enum table %s: %w", t.Name, err)
		}
		t.Values, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (v catalog.EnumValue, err error) {
			return v, row.Scan(&v.Value, &v.Comment)
		})
		if err != nil {
			return fmt.Errorf("read the enum table %s: %w", t.Name, err)
		}
	}
	return nil
}

func enumSQL(t *catalog.Table) string {
	key, comment := pgx.Identifier{t.PrimaryKey.Columns[0]}.Sanitize(), "''"
	if c, ok := t.EnumComment(); ok {
		comment = "coalesce(" + pgx.Identifier{c.Name}.Sanitize() + "::text, '')"
	}
	return fmt.Sprintf(`SELECT %s::text, %s FROM %s ORDER BY %s::text COLLATE "C" LIMIT %d`,
		key, comment, pgx.Identifier{t.Schema, t.Name.Name}.Sanitize(), key, maxEnumValues)
}
