package source

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"tenantry/api/errcode"
)

// Script runs SQL text of the project's own developers, several statements at
// once, in one transaction unless plain. The result is that of the last
// statement: names first, then rows as text, NULL as "NULL"; nil if it yields
// none. Errors carry what Postgres said, because the author is an admin.
func (s *Source) Script(ctx context.Context, sql string, readOnly, plain bool) ([][]string, error) {
	p, err := s.pool.open(ctx)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	held, err := p.Acquire(ctx)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	defer held.Release()
	conn := held.Conn().PgConn()
	// What a script leaves set (search_path, role, timeouts, an open transaction)
	// must not reach the next request, so its connection is not used again.
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if plain {
		return script(ctx, conn, sql)
	}
	begin := "BEGIN"
	if readOnly {
		begin = "BEGIN READ ONLY"
	}
	if _, err := conn.Exec(ctx, begin).ReadAll(); err != nil {
		return nil, mapError(ctx, err)
	}
	rows, err := script(ctx, conn, sql)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "COMMIT").ReadAll(); err != nil {
		return nil, scriptError(ctx, err, sql)
	}
	return rows, nil
}

func script(ctx context.Context, conn *pgconn.PgConn, sql string) ([][]string, error) {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, scriptError(ctx, err, sql)
	}
	if len(results) == 0 {
		return nil, nil
	}
	last := results[len(results)-1]
	if last.Err != nil {
		return nil, scriptError(ctx, last.Err, sql)
	}
	if len(last.FieldDescriptions) == 0 {
		return nil, nil
	}
	names := make([]string, len(last.FieldDescriptions))
	for i, f := range last.FieldDescriptions {
		names[i] = f.Name
	}
	out := [][]string{names}
	for _, row := range last.Rows {
		texts := make([]string, len(row))
		for i, value := range row {
			if value == nil {
				texts[i] = "NULL"
			} else {
				texts[i] = string(value)
			}
		}
		out = append(out, texts)
	}
	return out, nil
}

func scriptError(ctx context.Context, err error, statement string) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return mapError(ctx, err)
	}
	return errcode.New(errcode.PostgresError, "query execution failed").At("$.args").Because(err).WithInternal(map[string]any{
		"statement": statement, "prepared": false, "arguments": []any{},
		"error": map[string]any{
			"exec_status": "FatalError", "message": pg.Message, "status_code": pg.Code, "description": nullable(pg.Detail), "hint": nullable(pg.Hint),
		},
	})
}
