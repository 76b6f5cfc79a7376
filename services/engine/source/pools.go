package source

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"tenantry/tenants/vault"
)

// Dial opens connections to tenants' databases: the egress guard's.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Options of a source's pool.
type Options struct {
	MaxConnections int           // 0 means 8
	IdleTimeout    time.Duration // 0 means 180 s
	Lifetime       time.Duration // 0 means 600 s
	// StatementTimeout bounds every statement in Postgres itself, so that SQL
	// ends although a node dies. 0 means 60 s.
	StatementTimeout time.Duration
	// Trusted is true for a database that the platform made: its address is not
	// a tenant's word, so the egress guard has no say.
	Trusted bool
	// Unprepared keeps statements unnamed, for transaction poolers that lose them.
	Unprepared bool
}

// Pools holds the pools of all projects on a node, by database.
type Pools struct {
	dial Dial
	// Trusted opens connections to databases that the platform made; nil is the
	// plain network. Set before the first Source.
	Trusted Dial

	mu    sync.Mutex
	pools map[[32]byte]*pool
}

// NewPools makes an empty set whose connections are opened by dial.
func NewPools(dial Dial) *Pools { return &Pools{dial: dial, pools: map[[32]byte]*pool{}} }

// pool is one database's pool, made on first use.
type pool struct {
	owner  *Pools
	key    [32]byte
	config *pgxpool.Config
	shares int // guarded by owner.mu

	mu     sync.Mutex
	opened *pgxpool.Pool
}

// Source takes a share in the pool of a database. Nothing is connected until
// the first statement. The error names what is wrong with the URL without it.
func (p *Pools) Source(address vault.Secret, o Options) (*Source, error) {
	config, err := p.configure(address.Reveal(), o)
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%s\x00%+v", address.Reveal(), o))
	p.mu.Lock()
	defer p.mu.Unlock()
	shared, ok := p.pools[key]
	if !ok {
		shared = &pool{owner: p, key: key, config: config}
		p.pools[key] = shared
	}
	shared.shares++
	return &Source{pool: shared}, nil
}

func (p *Pools) configure(address string, o Options) (*pgxpool.Config, error) {
	if err := checkURL(address); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, errInvalidURL // the parser's error repeats the URL, password and all
	}
	config.MaxConns = 8
	if o.MaxConnections > 0 {
		config.MaxConns = int32(min(o.MaxConnections, 1000))
	}
	config.MaxConnIdleTime = orDefault(o.IdleTimeout, 180*time.Second)
	config.MaxConnLifetime = orDefault(o.Lifetime, 600*time.Second)
	config.MaxConnLifetimeJitter = config.MaxConnLifetime / 10
	c := config.ConnConfig
	c.StatementCacheCapacity = 256
	c.DescriptionCacheCapacity = 0
	if o.Unprepared {
		c.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	c.RuntimeParams["application_name"] = "tenantry"
	c.RuntimeParams["statement_timeout"] = strconv.FormatInt(orDefault(o.StatementTimeout, 60*time.Second).Milliseconds(), 10)
	c.RuntimeParams["idle_in_transaction_session_timeout"] = "300000"
	c.ConnectTimeout = 5 * time.Second
	if o.Trusted {
		if p.Trusted != nil {
			c.DialFunc = pgconn.DialFunc(p.Trusted)
		}
	} else if p.dial != nil {
		c.DialFunc = pgconn.DialFunc(p.dial)
		// The guard resolves and checks the host itself; resolving here first
		// would open the gap that it closes.
		c.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	}
	// A request that ends cancels its SQL in Postgres, not just its own waiting.
	c.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, CancelRequestDelay: 0, DeadlineDelay: 2 * time.Second}
	}
	return config, nil
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// open returns the pool, made on first use.
func (p *pool) open(ctx context.Context) (*pgxpool.Pool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened != nil {
		return p.opened, nil
	}
	// The pool outlives the request that makes it.
	opened, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), p.config)
	if err != nil {
		return nil, err
	}
	p.opened = opened
	return opened, nil
}

func (p *pool) current() *pgxpool.Pool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opened
}

func (p *pool) release() {
	p.owner.mu.Lock()
	p.shares--
	last := p.shares == 0
	if last {
		delete(p.owner.pools, p.key)
	}
	p.owner.mu.Unlock()
	if !last {
		return
	}
	if opened := p.current(); opened != nil {
		// Close waits for connections in use; requests that still run end first.
		go opened.Close()
	}
}

// urlParameters are what a tenant may set in a URL. The driver knows more, some
// of which read files of this machine (passfile, sslkey, service …).
var urlParameters = map[string]bool{
	"sslmode": true, "host": true, "port": true, "connect_timeout": true, "application_name": true, "options": true, "search_path": true,
}

// checkURL refuses what the driver would fill in from this machine's files and
// environment: a URL without host or user, and parameters that name files.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return errInvalidURL
	}
	query := u.Query()
	if u.User == nil || u.User.Username() == "" || u.Host == "" && !query.Has("host") {
		return errInvalidURL
	}
	if _, ok := u.User.Password(); !ok {
		return errors.New("the database URL has no password: expected postgres://user:password@host:port/database")
	}
	for name := range query {
		if !urlParameters[name] {
			return fmt.Errorf("the database URL has the parameter %q, which is not supported", name)
		}
	}
	return nil
}

var errInvalidURL = errors.New("not a Postgres URL: expected postgres://user:password@host:port/database")
