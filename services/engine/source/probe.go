package source

import (
	"context"
	"errors"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"tenantry/api/errcode"
)

// minVersion is the oldest Postgres that is served.
const minVersion = 120000

// Probe connects and says, in one public sentence, why a database can't be
// used: unreachable, wrong password, no such database, too old.
func (s *Source) Probe(ctx context.Context) error {
	conn, err := s.pool.connection(ctx)
	if err != nil {
		return probeError(err)
	}
	defer conn.Release()
	var version int
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return probeError(err)
	}
	if version < minVersion {
		return errcode.New(errcode.InvalidConfiguration, "the database is Postgres %d; expected %d or newer", version/10000, minVersion/10000)
	}
	return nil
}

func probeError(err error) error {
	var public *errcode.Error
	if errors.As(err, &public) {
		return public
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "28P01", "28000":
			return errcode.New(errcode.ConnectionFailed, "the database refused the user or password").Because(err)
		case "3D000":
			return errcode.New(errcode.ConnectionFailed, "the server has no database of that name").Because(err)
		}
		return errcode.New(errcode.ConnectionFailed, "the database refused the connection").Because(err)
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return errcode.New(errcode.ConnectionFailed, "the host of the database is not known").Because(err)
	case errors.Is(err, context.DeadlineExceeded):
		return errcode.New(errcode.ConnectionFailed, "the database did not answer in time").Because(err)
	}
	return errcode.New(errcode.ConnectionFailed, "the database can't be reached").Because(err)
}
