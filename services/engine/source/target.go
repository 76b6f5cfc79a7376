package source

import (
	"context"
	"net"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
)

// Target is where a source's database is, for a program that connects itself,
// and the guarded way there. It holds the password.
type Target struct {
	Host, Port               string
	User, Password, Database string
	SSLMode                  string
	Dial                     func(ctx context.Context) (net.Conn, error)
}

// Target tells where the database is.
func (s *Source) Target() Target {
	c := s.pool.config.ConnConfig
	t := Target{Host: c.Host, Port: strconv.Itoa(int(c.Port)), User: c.User, Password: c.Password, Database: c.Database}
	if u, err := url.Parse(c.ConnString()); err == nil {
		t.SSLMode = u.Query().Get("sslmode")
	}
	t.Dial = func(ctx context.Context) (net.Conn, error) {
		network, address := pgconn.NetworkAddress(c.Host, c.Port)
		return c.DialFunc(ctx, network, address)
	}
	return t
}
