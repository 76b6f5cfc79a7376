package source

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A pooler in transaction mode stands between a project and its database: each
// transaction may run on another session of the server. Such a pooler refuses
// start-up parameters that it can't keep for a client, and an older one loses
// prepared statements or hands out those of others.

// sessionParameters are the start-up parameters that poolers may refuse. Those
// that they know (application_name, datestyle) are sent always.
var sessionParameters = []string{"jit", "statement_timeout", "idle_in_transaction_session_timeout"}

// connection takes a connection of the opened pool, however it is reached. A
// server that refuses start-up parameters is asked without them, from then on.
func (p *pool) connection(ctx context.Context) (*pgxpool.Conn, error) {
	opened, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := opened.Acquire(ctx)
	if refusesParameters(err) {
		p.bare.Store(true)
		conn, err = opened.Acquire(ctx)
	}
	if err == nil {
		p.reached.Store(true)
	}
	return conn, err
}

func refusesParameters(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "08P01" && pg.Severity == "FATAL"
}

// beforeConnect leaves out what the server refuses. Statements in two steps, which
// the driver would use for what is not ours, may reach two sessions there.
func (p *pool) beforeConnect(_ context.Context, c *pgx.ConnConfig) error {
	if p.bare.Load() {
		maps.DeleteFunc(c.RuntimeParams, func(name, _ string) bool { return slices.Contains(sessionParameters, name) })
		c.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	return nil
}

// lostName reports that the server does not have a prepared statement that it was
// given, or has it from somebody else: a pooler between does not keep them apart.
func lostName(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "26000" || pg.Code == "42P05")
}

// again reports that a statement failed because of how it was prepared, and can be
// sent again: what it stood for has changed, or the pooler between does not keep
// names apart, and is not given any from then on.
func (s *Source) again(conn *pgconn.PgConn, st Bound, err error) bool {
	if lostName(err) {
		s.pool.unprepared.Store(true)
		return true
	}
	return outdated(conn, st, err)
}
