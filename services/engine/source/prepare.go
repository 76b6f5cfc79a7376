package source

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// Prepare lets the database read a statement without running it: how many
// parameters it has, or what is wrong with it in Postgres's own words, which are
// for the author of the statement. The error is that of a database that can't be
// asked.
func (s *Source) Prepare(ctx context.Context, sql string) (parameters int, wrong string, err error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return 0, "", mapError(ctx, err)
	}
	defer conn.Release()
	// The unnamed statement is gone with the next one.
	described, err := conn.wire().Prepare(ctx, "", sql, nil)
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg):
		return 0, pg.Message, nil
	case err != nil:
		return 0, "", mapError(ctx, err)
	}
	return len(described.ParamOIDs), "", nil
}
