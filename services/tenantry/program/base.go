package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tenantry/ops/lifecycle"
	"tenantry/ops/postgres"
	"tenantry/policy/egress"
	"tenantry/services/engine/source"
	"tenantry/services/revision"
	"tenantry/services/tenantry/config"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

const (
	startTimeout    = 2 * time.Minute // of the embedded Postgres, which may have to be fetched or to recover
	operatorKeyFile = "operator.key"
)

// cluster makes managed databases and keeps them apart.
type cluster interface {
	revision.Cluster
	Harden(ctx context.Context) error
}

// base is what the services stand on.
type base struct {
	store       *store.Store
	vault       *vault.Vault
	guard       *egress.Guard
	cluster     cluster     // nil: no managed databases
	dialManaged source.Dial // nil: by their URL
	operatorKey vault.Secret
	// serverURL gives a superuser's URL of the embedded Postgres; nil in serve.
	serverURL func(database string) string
	ended     <-chan struct{} // the embedded Postgres has ended; nil in serve
}

// openBase starts or finds the control plane's Postgres, brings its schema to
// this version, and opens what lies beside it.
func (r *run) openBase(ctx context.Context, stack *lifecycle.Stack) (base, error) {
	b := base{operatorKey: r.cfg.OperatorKey}
	b.guard = egress.New(egress.Options{Allow: r.cfg.EgressAllow, Ports: r.cfg.EgressPorts, DatabasePorts: r.cfg.EgressDatabasePorts})
	stack.Push("egress", func(context.Context) error { b.guard.CloseIdle(); return nil })
	url, err := r.database(ctx, stack, &b)
	if err != nil {
		return base{}, err
	}
	if err := os.MkdirAll(filepath.Dir(r.cfg.Keyring), 0o700); err != nil {
		return base{}, fmt.Errorf("the keyring's folder cannot be made: %w", err)
	}
	if b.vault, err = vault.Open(r.cfg.Keyring); err != nil {
		return base{}, fmt.Errorf("the keyring cannot be used: %w", err)
	}
	if b.operatorKey.IsZero() && r.cfg.Command == config.Dev {
		if b.operatorKey, err = keepOperatorKey(filepath.Join(r.cfg.DataDir, operatorKeyFile)); err != nil {
			return base{}, err
		}
	}
	if b.store, err = openStore(ctx, url, b.vault); err != nil {
		return base{}, err
	}
	stack.Push("store", func(context.Context) error { b.store.Close(); return nil })
	if err := b.store.CheckKeyring(ctx); err != nil {
		return base{}, fmt.Errorf("the keyring %s is not the one that sealed this database's secrets, put that one there: %w", r.cfg.Keyring, err)
	}
	r.checks.Add("control-plane", b.store.Ping)
	r.checks.Add("keyring", func(context.Context) error { return tryVault(b.vault) })

	if b.cluster != nil {
		if err := b.cluster.Harden(ctx); errors.Is(err, postgres.ErrOpen) {
			r.logger.Warn("databases of the cluster are open to the roles of managed databases", "error", err)
		} else if err != nil {
			return base{}, fmt.Errorf("the cluster of managed databases cannot be used: %w", err)
		}
	}
	if r.cfg.Command == config.Dev {
		r.logger.Info("tenants' URLs may reach this machine, as always in dev", "networks", egress.Loopback())
	}
	return b, nil
}

// openStore brings the schema to this version where it is older: a start that finds
// it as it should be needs no session of its own to look.
func openStore(ctx context.Context, url string, v *vault.Vault) (*store.Store, error) {
	s, err := store.Open(ctx, url, v)
	if errors.Is(err, store.ErrOldSchema) {
		if err := store.Migrate(ctx, url); err != nil {
			return nil, fmt.Errorf("the control plane's database could not be migrated: %w", err)
		}
		s, err = store.Open(ctx, url, v)
	}
	if err != nil {
		return nil, fmt.Errorf("the control plane's database cannot be used: %w", err)
	}
	return s, nil
}

// database gives the URL of the control plane's database, in dev that of a
// Postgres of our own, and fills in what makes managed databases.
func (r *run) database(ctx context.Context, stack *lifecycle.Stack, b *base) (url string, err error) {
	if r.cfg.Command != config.Dev {
		if !r.cfg.ManagedURL.IsZero() {
			b.cluster = postgres.NewCluster(r.cfg.ManagedURL.Reveal(), r.cfg.ManagedExtensions)
		}
		return r.cfg.DatabaseURL.Reveal(), nil
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	server, err := postgres.Start(starting, postgres.Options{DataDir: r.cfg.DataDir, Durable: true, Logger: r.logger})
	if err != nil {
		return "", err
	}
	stack.Push("postgres", server.Stop)
	url = server.URL("postgres")
	b.cluster = embeddedCluster{postgres.NewCluster(url, r.cfg.ManagedExtensions)}
	b.serverURL, b.ended = server.URL, server.Done()
	b.dialManaged, err = dialEmbedded(url)
	return url, err
}

// tryVault seals and unseals.
func tryVault(v *vault.Vault) error {
	sealed, err := v.Seal([]byte("ready"), "readiness")
	if err == nil {
		_, err = v.Unseal(sealed, "readiness")
	}
	return err
}
