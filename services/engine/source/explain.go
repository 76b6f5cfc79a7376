package source

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Explain is Postgres's plan for a statement, as lines of text. The statement is
// planned with its arguments and does not run.
func (s *Source) Explain(ctx context.Context, st Bound) ([]string, error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	defer conn.Release()
	// Not prepared: a plan is asked for now and then, and the text is another one.
	args := append([]any{pgx.QueryExecModeExec}, st.Args...)
	rows, err := conn.Query(ctx, "EXPLAIN (FORMAT TEXT) "+st.SQL, args...)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return lines, mapError(ctx, err)
}
