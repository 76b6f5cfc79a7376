// Floor is the practical limit that Tenantry is measured against: one route per
// query of the set, each of which runs one hand-written, prepared statement
// whose only column is the JSON of the root field, and copies those bytes into
// the response.
//
// GET /q1 … /q9 and /q8rows, /q8text, /q9plain with ?id=N; q6 takes X-Hasura-User-Id, q7
// is a POST. MODE=webhook serves the action's handler and nothing else. The
// environment says the rest: ADDR, DSN, POOL, HOOK.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/jackc/pgx/v5/pgxpool"
)

var (
	pool *pgxpool.Pool
	hook = setting("HOOK", "http://127.0.0.1:7090/hook")
)

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	serve := serveQueries
	if setting("MODE", "queries") == "webhook" {
		serve = serveHandler
	}
	if err := serve(setting("ADDR", "127.0.0.1:7001")); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func serveQueries(address string) error {
	config, err := pgxpool.ParseConfig(setting("DSN", "postgres://postgres@127.0.0.1/bench"))
	if err != nil {
		return err
	}
	connections, err := strconv.ParseInt(setting("POOL", "8"), 10, 32)
	if err != nil {
		return fmt.Errorf("POOL: %w", err)
	}
	config.MaxConns = int32(connections)
	if pool, err = pgxpool.NewWithConfig(context.Background(), config); err != nil {
		return err
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/:q", answer)
	app.Post("/:q", answer)
	return app.Listen(address)
}

func answer(c *fiber.Ctx) error {
	id, _ := strconv.ParseInt(c.Query("id"), 10, 64) // the harness sends numbers
	body, err := run(c.Context(), make([]byte, 0, 512), c.Params("q"), id, c.Get("X-Hasura-User-Id"))
	if err != nil {
		return err
	}
	c.Response().Header.SetContentType("application/json")
	c.Response().SetBodyRaw(body)
	return nil
}

// run appends the response of a query to buf.
func run(ctx context.Context, buf []byte, q string, id int64, user string) ([]byte, error) {
	switch q {
	case "q1":
		return jsonField(ctx, buf, "authors_by_pk", q1, id)
	case "q2":
		return jsonField(ctx, buf, "articles", q2, id)
	case "q3":
		return jsonField(ctx, buf, "authors", q3, id)
	case "q4":
		return jsonField(ctx, buf, "articles", q4, id)
	case "q5":
		return jsonField(ctx, buf, "orders_aggregate", q5, id)
	case "q6":
		u, err := strconv.ParseInt(user, 10, 64)
		if err != nil {
			return nil, err
		}
		return jsonField(ctx, buf, "orders", q6, u)
	case "q7":
		return jsonField(ctx, buf, "insert_comments_one", q7, id, id%20000+1, "bench comment "+strconv.FormatInt(id, 10))
	case "q8":
		return jsonField(ctx, buf, "articles", q8, id)
	case "q8rows":
		return rowsField(ctx, buf, "articles", false, q8rows, id)
	case "q8text":
		return rowsField(ctx, buf, "articles", true, q8rows, id)
	case "q9":
		return actionField(ctx, buf, id, callHandler)
	case "q9plain":
		return actionField(ctx, buf, id, callPlainly)
	}
	return nil, fmt.Errorf("no query %s", q)
}

// jsonField appends {"data":{"<field>":<json>}} for a statement that returns one
// JSON value.
func jsonField(ctx context.Context, buf []byte, field, sql string, args ...any) ([]byte, error) {
	rows, err := pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	buf = append(buf, `{"data":{"`...)
	buf = append(buf, field...)
	buf = append(buf, `":`...)
	n := 0
	for rows.Next() {
		if v := rows.RawValues()[0]; v != nil {
			buf = append(buf, v...)
			n++
		}
	}
	if n == 0 {
		buf = append(buf, "null"...)
	}
	rows.Close()
	return append(buf, '}', '}'), rows.Err()
}

// actionField calls the handler and joins its answer with a row.
func actionField(ctx context.Context, buf []byte, id int64, call func(context.Context, int64) (int64, error)) ([]byte, error) {
	answered, err := call(ctx, id)
	if err != nil {
		return nil, err
	}
	buf = append(buf, `{"data":{"act":{"id":`...)
	buf = strconv.AppendInt(buf, answered, 10)
	buf = append(buf, `,"article":`...)
	rows, err := pool.Query(ctx, q9, answered)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		buf = append(buf, rows.RawValues()[0]...)
	}
	rows.Close()
	return append(buf, `}}}`...), rows.Err()
}
