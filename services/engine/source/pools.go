package source

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tenantry/api/errcode"
	"tenantry/ops/rawconn"
	"tenantry/tenants/vault"
)

// Dial opens connections to tenants' databases: the egress guard's.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Options of a source's pool.
type Options struct {
	MaxConnections int // 0 means DefaultConnections
	// PoolTimeout bounds the wait for a free connection. 0 means 10 s.
	PoolTimeout time.Duration
	IdleTimeout time.Duration // 0 means 180 s
	Lifetime    time.Duration // 0 means 600 s
	// StatementTimeout bounds every statement in Postgres itself, so that SQL
	// ends although a node dies. 0 means 60 s.
	StatementTimeout time.Duration
	// Trusted is true for a database that the platform made: its address is not
	// a tenant's word, so the egress guard has no say.
	Trusted bool
	// Unprepared keeps statements unnamed, for transaction poolers that lose them.
	Unprepared bool
	// Isolation of transactions; empty is the database's default.
	Isolation Isolation
}

// Isolation is how far a transaction sees what others do at the same time, as SQL
// names it.
type Isolation string

// The levels.
const (
	ReadCommitted  = Isolation(pgx.ReadCommitted)
	RepeatableRead = Isolation(pgx.RepeatableRead)
	Serializable   = Isolation(pgx.Serializable)
)

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
	wait   time.Duration // for a free connection
	// unprepared statements are unnamed, for poolers that lose names.
	unprepared atomic.Bool
	// bare connections have no start-up parameters that poolers refuse; reached
	// says that there was a connection.
	bare, reached atomic.Bool
	isolation     Isolation
	shares        int // guarded by owner.mu
	// places are as many as the pool has connections; who holds one need not wait
	// for another request. Waiting here is cheaper than under a deadline of its own.
	places chan struct{}
	waits  atomic.Int64
	waited atomic.Int64 // nanoseconds
	// prepared counts statements that Postgres was asked to prepare.
	prepared atomic.Int64

	mu     sync.Mutex
	opened *pgxpool.Pool
	closed bool // the last share is gone: nothing is opened any more
}

// DefaultConnections is how many connections a pool has at most that nobody asked
// to be larger.
const DefaultConnections = 8

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
		shared = &pool{owner: p, key: key, config: config, wait: orDefault(o.PoolTimeout, 10*time.Second), isolation: o.Isolation,
			places: make(chan struct{}, config.MaxConns)}
		shared.unprepared.Store(o.Unprepared)
		shared.bare.Store(o.Unprepared) // who asks for no names has a pooler
		config.BeforeConnect, config.BeforeClose = shared.beforeConnect, unwatch
		p.pools[key] = shared
	}
	shared.shares++
	return &Source{pool: shared}, nil
}

func (p *Pools) configure(address string, o Options) (*pgxpool.Config, error) {
	u, err := checkURL(address)
	if err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(complete(u))
	if err != nil {
		return nil, errInvalidURL // the parser's error repeats the URL, password and all
	}
	config.MaxConns = DefaultConnections
	if o.MaxConnections > 0 {
		config.MaxConns = int32(min(o.MaxConnections, 1000))
	}
	config.MaxConnIdleTime = orDefault(o.IdleTimeout, 180*time.Second)
	config.MaxConnLifetime = orDefault(o.Lifetime, 600*time.Second)
	config.MaxConnLifetimeJitter = config.MaxConnLifetime / 10
	c := config.ConnConfig
	// Statements of plans are prepared by this package; the driver's own caches
	// would hold memory for nothing.
	c.StatementCacheCapacity, c.DescriptionCacheCapacity = 0, 0
	c.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	maps.DeleteFunc(c.RuntimeParams, func(name, _ string) bool { return !u.Query().Has(name) }) // of the environment
	c.RuntimeParams["application_name"] = "tenantry"
	// The form that timestamps of plain rows are read in (rows.go).
	c.RuntimeParams["datestyle"] = "ISO"
	// Nested subqueries look costly to the planner, and compiling them takes longer
	// than running them.
	c.RuntimeParams["jit"] = "off"
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
	c.DialFunc = pgconn.DialFunc(rawconn.Dialer(c.DialFunc))
	c.BuildContextWatcherHandler = cancelling
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
	if p.closed {
		return nil, errClosed
	}
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

// enter takes a place. All of them being busy for long is an error of its own:
// more waiting would only make the queue longer.
func (p *pool) enter(ctx context.Context) error {
	select {
	case p.places <- struct{}{}:
		return nil
	default:
	}
	began := time.Now()
	p.waits.Add(1)
	defer func() { p.waited.Add(int64(time.Since(began))) }()
	wait := time.NewTimer(p.wait)
	defer wait.Stop()
	select {
	case p.places <- struct{}{}:
		return nil
	case <-wait.C:
		return errcode.New(errcode.PoolTimeout, "the project's database has no free connection")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pool) leave() { <-p.places }

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
	p.mu.Lock()
	p.closed = true
	opened := p.opened
	p.mu.Unlock()
	if opened != nil {
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
func checkURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, errInvalidURL
	}
	query := u.Query()
	hosts := u.Host
	if query.Has("host") {
		hosts = strings.Join(query["host"], ",")
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if host == "" || strings.HasPrefix(host, ":") {
			return nil, errInvalidURL
		}
	}
	if u.User == nil || u.User.Username() == "" {
		return nil, errInvalidURL
	}
	if password, _ := u.User.Password(); password == "" { // the driver would look for one
		return nil, errors.New("the database URL has no password: expected postgres://user:password@host:port/database")
	}
	for name := range query {
		if !urlParameters[name] {
			return nil, fmt.Errorf("the database URL has the parameter %q, which is not supported", name)
		}
	}
	if os.Getenv("PGSERVICE") != "" { // the one setting that a URL can't override
		return nil, errors.New("the server runs with PGSERVICE in its environment, which would add to the connection: unset it")
	}
	return u, nil
}

// pinned are the driver's settings that it would otherwise take from the
// operator's environment and home folder: with their defaults, and no files.
var pinned = map[string]string{
	"port": "5432", "sslmode": "prefer", "sslnegotiation": "postgres", "sslcertmode": "disable", "sslcert": "", "sslkey": "", "sslrootcert": "",
	"sslpassword": "", "sslsni": "1", "passfile": "", "target_session_attrs": "any", "connect_timeout": "5",
	"channel_binding": "prefer", "require_auth": "", "min_protocol_version": "3.0", "max_protocol_version": "3.0",
}

// complete is the URL with everything said that it leaves open.
func complete(u *url.URL) string {
	out := *u
	query := out.Query()
	for name, value := range pinned {
		if !query.Has(name) && (name != "port" || out.Port() == "") {
			query.Set(name, value)
		}
	}
	out.RawQuery = query.Encode()
	if strings.Trim(out.Path, "/") == "" {
		out.Path = "/" + out.User.Username()
	}
	return out.String()
}

var errClosed = errors.New("the source is closed")

var errInvalidURL = errors.New("not a Postgres URL: expected postgres://user:password@host:port/database")
