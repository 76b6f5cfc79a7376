package source

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"tenantry/api/errcode"
)

// mapError turns what pgx reports into public errors by SQLSTATE (contracts
// §1.9), never by text. The cause stays inside, for operators.
func mapError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var public *errcode.Error
	if errors.As(err, &public) {
		return err
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		e := fromSQLState(ctx, pg).Because(err)
		if expected(pg.Code) {
			return e // all of it is in the message
		}
		return e.WithInternal(map[string]any{"error": map[string]any{
			"message": pg.Message, "status_code": pg.Code, "hint": nullable(pg.Hint), "description": nullable(pg.Detail), "exec_status": "FatalError",
		}})
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errcode.New(errcode.TimeLimitExceeded, "the operation took longer than its time limit").Because(err)
	case errors.Is(err, context.Canceled):
		return errcode.New(errcode.Timeout, "the request was cancelled").Because(err)
	}
	return errcode.New(errcode.ConnectionFailed, "the project's database can't be reached").Because(err)
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// violations are the SQLSTATEs with a prefix of their own.
var violations = map[string]struct {
	prefix string
	code   errcode.Code
}{
	"23505": {"Uniqueness violation. ", errcode.ConstraintViolation},
	"23503": {"Foreign key violation. ", errcode.ConstraintViolation},
	"23502": {"Not-NULL violation. ", errcode.ConstraintViolation},
	"23514": {"Check constraint violation. ", errcode.PermissionError},
	"44000": {"Check constraint violation. ", errcode.PermissionError}, // of a view
	"23001": {"Can not delete or update due to data being referred. ", errcode.ConstraintViolation},
	"23P01": {"Exclusion constraint violation. ", errcode.ConstraintViolation},
}

// mistakes are other SQLSTATEs of what a client sent, with their codes; the
// message is Postgres's unless one stands here.
var mistakes = map[string]struct {
	code    errcode.Code
	message string
}{
	"21000": {errcode.DataException, ""}, // a row that ON CONFLICT would change twice, a subquery of several rows
	"22025": {errcode.BadRequest, ""},    // a pattern that ends with its escape
	"42704": {errcode.ConstraintError, ""},
	"42P10": {errcode.ConstraintError, "there is no unique or exclusion constraint on target column(s)"},
	"40001": {errcode.ConcurrentUpdate, "the operation collided with another one: try again"},
	"40P01": {errcode.ConcurrentUpdate, "the operation collided with another one: try again"},
	"55P03": {errcode.Busy, "another transaction holds a lock: try again"},
}

// conditions are SQLSTATEs, or classes of them, of the database's own state or of
// what its owner decided.
var conditions = map[string]struct {
	code    errcode.Code
	message string
}{
	"08":    {errcode.ConnectionFailed, "the project's database can't be reached"},
	"0A":    {errcode.NotSupported, "the project's database does not support the operation"},
	"25006": {errcode.NotSupported, "the project's database is read only"},
	"28":    {errcode.ConnectionFailed, "the project's database refused the connection"},
	"3D000": {errcode.ConnectionFailed, "the project's database refused the connection"},
	// Our statements name what was there when the catalog was read.
	"42P01": {errcode.Unexpected, changed},
	"42703": {errcode.Unexpected, changed},
	"42883": {errcode.Unexpected, changed},
	"42501": {errcode.PostgresError, "the project's database role lacks a privilege"},
	"53300": {errcode.PostgresMaxConns, "the project's database has no free connection"},
	"57":    {errcode.ConnectionFailed, "the project's database can't be reached"},
	"57014": {errcode.TimeLimitExceeded, "the operation took longer than its time limit"},
	"P0001": {errcode.PostgresError, ""}, // raised by a function or trigger: its words are for clients
}

// changed is what clients are told of a table, column or function that is gone.
const changed = "the project's database has changed since its tables were read: its metadata must be reloaded"

// Outdated reports that a statement failed because the database is not as its
// catalog says: something that it names is gone or has another type.
func Outdated(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch pg.Code {
	case "42P01", "42703", "42883":
		return true
	}
	return pg.Code == "0A000" && pg.Routine == revalidates
}

// revalidates is where Postgres notices that a prepared statement would answer
// other types than it did.
const revalidates = "RevalidateCachedQuery"

// class is the part of a SQLSTATE that says of what kind it is.
func class(state string) string { return state[:min(2, len(state))] }

// expected reports whether an error is one of what a client sent: admins are told
// no more of it than the client.
func expected(state string) bool {
	_, violation := violations[state]
	_, mistake := mistakes[state]
	return violation || mistake || class(state) == "22"
}

func fromSQLState(ctx context.Context, pg *pgconn.PgError) *errcode.Error {
	if v, ok := violations[pg.Code]; ok {
		return errcode.New(v.code, "%s", v.prefix+pg.Message)
	}
	if m, ok := mistakes[pg.Code]; ok {
		return errcode.New(m.code, "%s", cmp.Or(m.message, pg.Message))
	}
	if class(pg.Code) == "22" {
		return errcode.New(errcode.DataException, "%s", pg.Message)
	}
	if pg.Code == "57014" && errors.Is(ctx.Err(), context.Canceled) {
		return errcode.New(errcode.Timeout, "the request was cancelled")
	}
	c, ok := conditions[pg.Code]
	if !ok {
		if c, ok = conditions[class(pg.Code)]; !ok {
			return errcode.New(errcode.Unexpected, "database query error")
		}
	}
	return errcode.New(c.code, "%s", cmp.Or(c.message, pg.Message))
}

func isNetwork(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
