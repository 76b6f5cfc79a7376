package source_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"tenantry/ops/postgres/pgtest"
	"tenantry/services/engine/source"
	"tenantry/tenants/vault"
)

// A type that is made anew, by an extension that is created again say, has another
// number; prepared statements know the old one.
func TestAStatementOutlivesATypeThatIsMadeAnew(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	db, err := pgx.Connect(t.Context(), address)
	must(t, err)
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	src, err := source.NewPools(nil).Source(vault.NewSecret(address), source.Options{MaxConnections: 1, Trusted: true})
	must(t, err)
	t.Cleanup(src.Close)
	statement := source.Bound{SQL: `SELECT to_json($1::mood)`, Args: [][]byte{[]byte("calm")}}
	for range 3 {
		_, err = db.Exec(t.Context(), `DROP TYPE IF EXISTS mood; CREATE TYPE mood AS ENUM ('calm')`)
		must(t, err)
		if got, err := src.One(t.Context(), statement); err != nil || string(got) != `"calm"` {
			t.Errorf("%s %v", got, err)
		}
	}
}
