package source

import "context"

// Explain is Postgres's plan for a statement, as lines of text. The statement is
// planned with its arguments and does not run.
func (s *Source) Explain(ctx context.Context, st Bound) ([]string, error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	defer conn.Release()
	// Not prepared: a plan is asked for now and then, and the text is another one.
	rows := conn.wire().ExecParams(ctx, "EXPLAIN (FORMAT TEXT) "+st.SQL, st.Args, nil, nil, nil)
	var lines []string
	for rows.NextRow() {
		lines = append(lines, string(rows.Values()[0]))
	}
	_, err = rows.Close()
	return lines, mapError(ctx, err)
}
