package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tenantry/api/errcode"
)

// What callers branch on, with errors.Is.
var (
	ErrNotFound  = errcode.New(errcode.NotFound, "not found")
	ErrConflict  = errcode.New(errcode.Conflict, "it was changed by someone else meanwhile; read it again")
	ErrSlugTaken = errcode.New(errcode.Conflict, "the slug is taken")
	ErrBadSlug   = errcode.New(errcode.ValidationFailed, "expected 2 to 39 of a-z, 0-9 and -, a letter first, not in the form of a uuid")
	ErrBadCursor = errcode.New(errcode.BadRequest, "the cursor is none that this list gave")

	ErrTooManySecrets = errcode.New(errcode.Conflict, "the project has five admin secrets; revoke one first")

	ErrIdempotencyConflict   = errcode.New(errcode.IdempotencyConflict, "the idempotency key was used for another request")
	ErrIdempotencyInProgress = errcode.New(errcode.IdempotencyInProgress, "the request with this idempotency key is still running")
)

// wrap turns an error of the driver into one that callers know: ErrNotFound for
// no rows, connection-not-established when Postgres can't be reached; others
// say what was being done. nil stays nil.
func wrap(doing string, err error) error {
	var public *errcode.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &public):
		return err
	case errors.Is(err, pgx.ErrNoRows):
		return ErrNotFound
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("store: %s: %w", doing, err)
	case unreachable(err):
		return errcode.New(errcode.ConnectionFailed, "the control plane's database can't be reached").
			Because(fmt.Errorf("store: %s: %w", doing, err))
	}
	return fmt.Errorf("store: %s: %w", doing, err)
}

func unreachable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		// Connection exceptions; shut down, crashed or starting up; too many.
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "57P0") || pg.Code == "53300"
	}
	var connect *pgconn.ConnectError
	var network net.Error
	// The driver reports a connection that was closed under it in several ways;
	// what did not come from Postgres and is no mistake of ours is the network.
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		strings.Contains(err.Error(), "unexpected EOF") || strings.Contains(err.Error(), "conn closed")
}

// code returns the SQLSTATE of err, if Postgres sent it.
func code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}
