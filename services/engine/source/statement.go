package source

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tenantry/services/engine/rowjson"
)

// Bound is a statement ready to run. An argument is Postgres's text form, or nil
// for NULL.
type Bound struct {
	SQL  string
	Args [][]byte
	// Columns, when set, say that the statement yields plain rows, which are a list
	// of objects, and how each column becomes JSON; else it yields one row with one
	// JSON column.
	Columns []rowjson.Column
	// Begin is put before the value; Size is about how large both will be, 0 if
	// nobody knows.
	Begin []byte
	Size  int
}

// maxPrepared is the longest text, in bytes, that is kept as a prepared
// statement: both ends keep hundreds of them for each connection.
const maxPrepared = 32 << 10

func (b Bound) large() bool { return len(b.SQL) > maxPrepared }

// values is how many bytes the values have.
func (b Bound) values() int {
	size := 0
	for _, arg := range b.Args {
		size += len(arg)
	}
	return size
}

// statementCapacity is how many prepared statements a connection keeps.
const statementCapacity = 256

// statements are the prepared statements of one connection, by text, and the
// exchange that runs them. They live as long as it and are used by whoever holds it.
type statements struct {
	byText   map[string]*list.Element // of *pgconn.StatementDescription
	recent   list.List                // the one that was used last is first
	named    uint64
	exchange exchange
}

const statementsKey = "tenantry.statements"

func statementsOf(conn *pgconn.PgConn) *statements {
	data := conn.CustomData()
	if kept, ok := data[statementsKey].(*statements); ok {
		return kept
	}
	kept := &statements{byText: map[string]*list.Element{}, exchange: exchange{conn: conn, watch: watch{handler: cancelling(conn)}}}
	data[statementsKey] = kept
	return kept
}

// unwatch ends what a connection that is closed has with contexts.
func unwatch(conn *pgx.Conn) {
	if kept, ok := conn.PgConn().CustomData()[statementsKey].(*statements); ok {
		kept.exchange.watch.close()
	}
}

// get finds a statement prepared, or prepares it and counts that.
func (k *statements) get(ctx context.Context, conn *pgconn.PgConn, sql string, prepared *atomic.Int64) (*pgconn.StatementDescription, error) {
	if found, ok := k.byText[sql]; ok {
		k.recent.MoveToFront(found)
		return found.Value.(*pgconn.StatementDescription), nil
	}
	if k.recent.Len() >= statementCapacity {
		oldest := k.recent.Back().Value.(*pgconn.StatementDescription)
		if err := conn.Deallocate(ctx, oldest.Name); err != nil {
			return nil, err
		}
		k.forget(oldest.SQL)
	}
	k.named++
	prepared.Add(1)
	// The text is part of the name: a pooler that mixes up sessions can answer that
	// a name is taken, but never run another statement.
	sum := sha256.Sum256([]byte(sql))
	name := "tenantry_" + base64.RawURLEncoding.EncodeToString(sum[:12]) + "_" + strconv.FormatUint(k.named, 36)
	described, err := conn.Prepare(ctx, name, sql, nil)
	if err != nil {
		return nil, err
	}
	k.byText[sql] = k.recent.PushFront(described)
	return described, nil
}

func (k *statements) forget(sql string) {
	if found, ok := k.byText[sql]; ok {
		k.recent.Remove(found)
		delete(k.byText, sql)
	}
}

// send sends one statement; the reader must be closed before the connection is
// used again.
func (s *Source) send(ctx context.Context, conn *pgconn.PgConn, st Bound) (rows, error) {
	if s.unnamed() || st.large() {
		return conn.ExecParams(ctx, st.SQL, st.Args, nil, nil, nil), nil
	}
	kept := statementsOf(conn)
	prepared, err := kept.get(ctx, conn, st.SQL, &s.pool.prepared)
	if err != nil {
		return nil, err
	}
	if st.values() > maxExchange {
		return conn.ExecStatement(ctx, prepared, st.Args, nil, nil), nil
	}
	return kept.exchange.start(ctx, prepared.Name, st.Args), nil
}

// outdated reports that a prepared statement can't be used any more: a column
// has another type now, a type was made anew, or a pooler between lost it. The
// statement is forgotten.
func outdated(conn *pgconn.PgConn, st Bound, err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch {
	case pg.Code == "26000", pg.Code == "0A000" && pg.Routine == revalidates:
	case pg.Code == "XX000" && strings.HasPrefix(pg.Message, "cache lookup failed"): // a type is gone; Postgres never translates this
	default:
		return false
	}
	kept := statementsOf(conn)
	if _, ok := kept.byText[st.SQL]; !ok {
		return false
	}
	kept.forget(st.SQL)
	return true
}
