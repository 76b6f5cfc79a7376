package source

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
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

// expected reports whether an error is one of what a client sent: admins are told
// no more of it than the client.
func expected(state string) bool {
	_, violation := violations[state]
	return violation || strings.HasPrefix(state, "22") || state == "40001" || state == "40P01"
}

func fromSQLState(ctx context.Context, pg *pgconn.PgError) *errcode.Error {
	if v, ok := violations[pg.Code]; ok {
		return errcode.New(v.code, "%s", v.prefix+pg.Message)
	}
	switch class := pg.Code[:min(2, len(pg.Code))]; {
	case class == "22":
		return errcode.New(errcode.DataException, "%s", pg.Message)
	case class == "28" || pg.Code == "3D000":
		return errcode.New(errcode.ConnectionFailed, "the project's database refused the connection")
	case pg.Code == "53300":
		return errcode.New(errcode.PostgresMaxConns, "the project's database has no free connection")
	case pg.Code == "57014":
		if errors.Is(ctx.Err(), context.Canceled) {
			return errcode.New(errcode.Timeout, "the request was cancelled")
		}
		return errcode.New(errcode.TimeLimitExceeded, "the operation took longer than its time limit")
	case class == "57" || class == "08":
		return errcode.New(errcode.ConnectionFailed, "the project's database can't be reached")
	case pg.Code == "40001" || pg.Code == "40P01":
		return errcode.New(errcode.ConcurrentUpdate, "the operation collided with another one: try again")
	case pg.Code == "P0001":
		return errcode.New(errcode.PostgresError, "%s", pg.Message)
	case pg.Code == "42501":
		return errcode.New(errcode.PostgresError, "the project's database role lacks a privilege")
	}
	return errcode.New(errcode.Unexpected, "database query error")
}

func isNetwork(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
