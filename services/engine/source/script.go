package source

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tenantry/api/errcode"
)

// Script is SQL text of the project's own developers, several statements at once.
type Script struct {
	SQL      string
	ReadOnly bool
	// Plain runs the statements outside of a transaction.
	Plain bool
	// Before and After look at the database on the script's connection, in its
	// transaction: an error of theirs rolls it back. Either may be nil.
	Before, After func(ctx context.Context, db *Session) error
}

// Session is the connection of a script.
type Session struct{ conn *pgx.Conn }

// SendBatch sends statements on the connection, in its transaction.
func (s *Session) SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults {
	return s.conn.SendBatch(ctx, batch)
}

// Committed reports whether the connection has no transaction, or none any more.
func (s *Session) Committed() bool { return s.conn.PgConn().TxStatus() == idle }

// Script runs a script in one transaction unless it is plain. The result is that
// of the last statement: names first, then rows as text, NULL as "NULL"; nil if it
// yields none. Errors carry what Postgres said, because the author is an admin.
func (s *Source) Script(ctx context.Context, script Script) ([][]string, error) {
	held, err := s.pool.connection(ctx)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	defer held.Release()
	conn := held.Conn()
	// What a script leaves set (search_path, role, timeouts, an open transaction)
	// must not reach the next request, so its connection is not used again.
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if !script.Plain {
		begin := "BEGIN"
		if script.ReadOnly {
			begin = "BEGIN READ ONLY"
		}
		if _, err := conn.PgConn().Exec(ctx, begin).ReadAll(); err != nil {
			return nil, mapError(ctx, err)
		}
	}
	if script.Before != nil {
		if err := script.Before(ctx, &Session{conn}); err != nil {
			return nil, err
		}
	}
	rows, err := run(ctx, conn.PgConn(), script.SQL)
	if err != nil {
		return nil, err
	}
	return rows, finish(ctx, conn, script)
}

// idle is the status of a connection without a transaction.
const idle = 'I'

// finish looks at what the script did and commits it, unless it has done so
// itself.
func finish(ctx context.Context, conn *pgx.Conn, script Script) error {
	if script.After != nil {
		// Whoever the script has become, and whatever it has set.
		if _, err := conn.PgConn().Exec(ctx, "RESET ROLE; RESET search_path; RESET statement_timeout").ReadAll(); err != nil {
			return scriptError(ctx, err, script.SQL)
		}
		if err := script.After(ctx, &Session{conn}); err != nil {
			return err
		}
	}
	if conn.PgConn().TxStatus() == idle {
		return nil
	}
	if _, err := conn.PgConn().Exec(ctx, "COMMIT").ReadAll(); err != nil {
		return scriptError(ctx, err, script.SQL)
	}
	return nil
}

func run(ctx context.Context, conn *pgconn.PgConn, sql string) ([][]string, error) {
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
