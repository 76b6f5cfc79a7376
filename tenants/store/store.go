// Package store keeps the control plane in Postgres: tenants, projects,
// credentials, revisions of metadata and settings, catalogs, the audit. Reads
// are methods of Store, writes of Tx inside Store.Change, which commits a change
// and its audit events together and tells other nodes. services/control,
// services/revision and services/live are its callers.
//
// All errors that a client may see are *errcode.Error: ErrNotFound and its
// neighbours, and connection-not-established while Postgres can't be reached.
package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"tenantry/tenants/vault"
)

// Store is the control plane's database. Safe for concurrent use. It survives a
// restart of Postgres: calls fail meanwhile and work again afterwards.
type Store struct {
	pool  *pgxpool.Pool
	vault *vault.Vault

	used usage
	stop context.CancelFunc
	done sync.WaitGroup
}

// connectTimeout bounds one attempt to connect, also for callers without a
// deadline.
const connectTimeout = 5 * time.Second

// Open connects to the control plane's database, which Migrate has brought to
// this program's version, and checks both.
func Open(ctx context.Context, url string, v *vault.Vault) (*Store, error) {
	config, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, wrap("open", err)
	}
	s := &Store{pool: pool, vault: v}
	if err := s.CheckVersion(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	background, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.done.Go(func() { s.keepHouse(background) })
	return s, nil
}

func parseURL(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		// The cause would repeat the URL, with a password in it.
		return nil, fmt.Errorf("the control plane's database URL can't be read; expected postgres://user:password@host:port/database")
	}
	config.MaxConns = max(config.MaxConns, 10)
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	config.ConnConfig.RuntimeParams["application_name"] = "tenantry"
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		// Times come in UTC wherever the program runs.
		conn.TypeMap().RegisterType(&pgtype.Type{
			Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		return nil
	}
	config.MaxConnLifetime = time.Hour
	config.MaxConnLifetimeJitter = 10 * time.Minute
	config.HealthCheckPeriod = 10 * time.Second
	return config, nil
}

// Close writes what is still to be noted and closes all connections. Watch must
// have been ended by its context.
func (s *Store) Close() {
	s.stop()
	s.done.Wait()
	s.pool.Close()
}

// Ping asks Postgres for a sign of life: readiness.
func (s *Store) Ping(ctx context.Context) error {
	return wrap("ping", s.pool.Ping(ctx))
}

// PoolStats are the counts of the store's connections.
type PoolStats struct {
	InUse, Idle, Max int32
	Waits            int64         // how often a caller had to wait for a connection
	Waited           time.Duration // how long in sum
}

// PoolStats returns the counts of the moment.
func (s *Store) PoolStats() PoolStats {
	st := s.pool.Stat()
	return PoolStats{
		InUse: st.AcquiredConns(), Idle: st.IdleConns(), Max: st.MaxConns(),
		Waits: st.EmptyAcquireCount(), Waited: st.EmptyAcquireWaitTime(),
	}
}

// querier is what reads need: the pool, or a transaction that must see its own
// writes.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}
