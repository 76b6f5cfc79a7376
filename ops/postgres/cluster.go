package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Limits of the role of a managed database, as defaults of its sessions.
const (
	managedConnections = 50
	managedTimeout     = "60s"
)

// hardenLock is the key of the advisory lock under which access to databases is
// changed: two at once would fail with "tuple concurrently updated".
const hardenLock = 0x74656e616e747279

var (
	// ErrName: the name of a managed database cannot be used.
	ErrName = errors.New("the name of a managed database has 1 to 63 bytes and no zero byte")
	// ErrExists: a database or a role of that name is there already.
	ErrExists = errors.New("a database or role of that name exists")
	// ErrNotManaged: the database is not one that CreateDatabase made.
	ErrNotManaged = errors.New("not a managed database")
	// ErrOpen: databases of the cluster that every role may still connect to.
	ErrOpen = errors.New("databases of the cluster are open to every role")
)

// Cluster makes managed databases on a Postgres that belongs to the operator.
// It keeps no connection and may be used from several goroutines.
type Cluster struct {
	adminURL   string
	extensions []string
}

// NewCluster names the cluster by the URL of a role that may create roles and
// databases (a superuser, if CONNECT is to be revoked on databases of others or
// an extension needs one), and the extensions that every managed database gets.
func NewCluster(adminURL string, extensions []string) *Cluster {
	return &Cluster{adminURL: adminURL, extensions: slices.Clone(extensions)}
}

// CreateDatabase makes a database that belongs to a new role of the same name,
// which may do nothing else on the cluster, and returns the role's URL: a
// secret that is kept nowhere else. No other role can connect to the database
// at any moment. On error nothing stays behind.
func (c *Cluster) CreateDatabase(ctx context.Context, name string) (databaseURL string, err error) {
	if name == "" || len(name) > 63 || strings.ContainsRune(name, 0) {
		return "", ErrName
	}
	password := randomPassword()
	databaseURL, err = c.urlFor(name, password)
	if err != nil {
		return "", err
	}
	conn, err := c.connect(ctx, "")
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = createRole(ctx, conn, name, password)
	if errors.Is(err, ErrExists) {
		return "", fmt.Errorf("create the role of a managed database: %w", err)
	}
	if err == nil {
		err = c.createOwned(ctx, conn, name)
	}
	if err != nil {
		// The request may be over; what was begun is taken back all the same.
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		return "", errors.Join(fmt.Errorf("create a managed database: %w", err), c.remove(undo, name))
	}
	return databaseURL, nil
}

func createRole(ctx context.Context, conn *pgx.Conn, name, password string) error {
	verifier, err := scramVerifier(password)
	if err != nil {
		return err
	}
	role := quote(name)
	// The server is sent the verifier, never the password, so neither its log
	// nor pg_stat_activity can show one.
	err = execAll(ctx, conn,
		fmt.Sprintf("CREATE ROLE %s LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT %d PASSWORD '%s'", role, managedConnections, verifier),
		fmt.Sprintf("ALTER ROLE %s SET statement_timeout = '%s'", role, managedTimeout),
		fmt.Sprintf("ALTER ROLE %s SET idle_in_transaction_session_timeout = '%s'", role, managedTimeout))
	if code(err) == "42710" {
		return ErrExists
	}
	return err
}

// createOwned makes the database closed, and opens it when only its owner may
// enter: a new database is open to every role by default.
func (c *Cluster) createOwned(ctx context.Context, conn *pgx.Conn, name string) error {
	database := quote(name)
	var super bool
	if err := conn.QueryRow(ctx, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&super); err != nil {
		return err
	}
	if !super { // who is no superuser must be a member to make someone an owner
		if err := execAll(ctx, conn, "GRANT "+database+" TO CURRENT_USER"); err != nil {
			return err
		}
	}
	err := execAll(ctx, conn,
		"CREATE DATABASE "+database+" OWNER "+database+" TEMPLATE template0 ENCODING 'UTF8' ALLOW_CONNECTIONS false",
		"REVOKE ALL ON DATABASE "+database+" FROM PUBLIC",
		"ALTER DATABASE "+database+" WITH ALLOW_CONNECTIONS true")
	if code(err) == "42P04" {
		return ErrExists
	}
	if err != nil {
		return err
	}
	if err := c.Harden(ctx); err != nil {
		return err
	}
	inside, err := c.connect(ctx, name)
	if err != nil {
		return err
	}
	defer inside.Close(context.WithoutCancel(ctx))
	for _, extension := range c.extensions {
		if err := execAll(ctx, inside, "CREATE EXTENSION IF NOT EXISTS "+quote(extension)+" CASCADE"); err != nil {
			return fmt.Errorf("extension %q: %w", extension, err)
		}
	}
	return execAll(ctx, inside,
		"ALTER SCHEMA public OWNER TO "+database,
		"REVOKE ALL ON SCHEMA public FROM PUBLIC",
		"GRANT ALL ON SCHEMA public TO "+database)
}

// DropDatabase removes a managed database with its role and everything in it,
// cutting its connections. A database that is gone is no error; one that
// CreateDatabase did not make is ErrNotManaged and stays.
func (c *Cluster) DropDatabase(ctx context.Context, name string) error {
	conn, err := c.connect(ctx, "")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var managed bool
	err = conn.QueryRow(ctx, `SELECT r.rolname = d.datname AND NOT (r.rolsuper OR r.rolcreatedb OR r.rolcreaterole)
		FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE d.datname = $1`, name).Scan(&managed)
	if errors.Is(err, pgx.ErrNoRows) {
		// An earlier attempt may have dropped the database but not the role.
		err = conn.QueryRow(ctx, `SELECT rolconnlimit = $2 AND NOT (rolsuper OR rolcreatedb OR rolcreaterole)
			FROM pg_roles WHERE rolname = $1`, name, managedConnections).Scan(&managed)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("drop a managed database: %w", err)
	}
	if !managed {
		return fmt.Errorf("%w: %q", ErrNotManaged, name)
	}
	return c.remove(ctx, name)
}

// remove drops the database if it belongs to the role of its name, and the role.
func (c *Cluster) remove(ctx context.Context, name string) error {
	conn, err := c.connect(ctx, "")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var own bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
		WHERE d.datname = $1 AND r.rolname = $1)`, name).Scan(&own)
	if err == nil && own {
		err = execAll(ctx, conn, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)")
	}
	if err == nil {
		err = c.dropRole(ctx, conn, name)
	}
	if err != nil {
		return fmt.Errorf("drop a managed database: %w", err)
	}
	return nil
}

// dropRole also takes back what owners of other databases have granted to the
// role, which would keep it from being dropped.
func (c *Cluster) dropRole(ctx context.Context, conn *pgx.Conn, name string) error {
	err := execAll(ctx, conn, "DROP ROLE IF EXISTS "+quote(name))
	if code(err) != "2BP01" {
		return err
	}
	rows, err := conn.Query(ctx, `SELECT DISTINCT d.datname FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid OR (s.dbid = 0 AND d.datname = current_database())
		WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1)`, name)
	if err != nil {
		return err
	}
	databases, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, database := range databases {
		inside, err := c.connect(ctx, database)
		if err != nil {
			return err
		}
		err = execAll(ctx, inside, "DROP OWNED BY "+quote(name))
		_ = inside.Close(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
	}
	return execAll(ctx, conn, "DROP ROLE IF EXISTS "+quote(name))
}

// openDatabases lists the databases that PUBLIC may connect to. A database
// without an access list has the default one, which lets everybody in.
const openDatabases = `SELECT d.datname FROM pg_database d
	WHERE d.datallowconn AND (d.datacl IS NULL OR EXISTS (
		SELECT FROM aclexplode(d.datacl) a WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT'))
	ORDER BY d.datname = current_database() DESC, d.datname`

// Harden closes every database of the cluster, the control plane's first, to
// roles that were not given access by name, so that the role of one managed
// database cannot enter another. The owner of a database keeps its access, and
// so does the role of this cluster's URL. What cannot be closed is ErrOpen.
func (c *Cluster) Harden(ctx context.Context) error {
	conn, err := c.connect(ctx, "")
	if err != nil {
		return err
	}
	// Closing the connection gives the lock back.
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(hardenLock)); err != nil {
		return fmt.Errorf("close the databases of the cluster: %w", err)
	}
	open, err := listOpen(ctx, conn)
	if err != nil {
		return fmt.Errorf("close the databases of the cluster: %w", err)
	}
	var failed error
	for _, name := range open {
		err := execAll(ctx, conn,
			"GRANT CONNECT ON DATABASE "+quote(name)+" TO CURRENT_USER",
			"REVOKE CONNECT, TEMPORARY ON DATABASE "+quote(name)+" FROM PUBLIC")
		if err != nil && code(err) != "3D000" { // dropped meanwhile
			failed = errors.Join(failed, err)
		}
	}
	// Postgres only warns when a REVOKE had no effect.
	if open, err = listOpen(ctx, conn); err != nil {
		return fmt.Errorf("close the databases of the cluster: %w", err)
	}
	if len(open) > 0 {
		return errors.Join(fmt.Errorf("%w: %s", ErrOpen, strings.Join(open, ", ")), failed)
	}
	return nil
}

func listOpen(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, openDatabases)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// connect opens the database of the admin URL, or another one of the cluster.
func (c *Cluster) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(c.adminURL)
	if err != nil {
		return nil, errors.New("the URL of the cluster for managed databases is not a Postgres URL") // the cause may repeat the password
	}
	if database != "" {
		config.Database = database
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster for managed databases: %w", err)
	}
	return conn, nil
}

// urlFor is the admin URL with another role and database. Of the options only
// those about the way to the server stay; the others are the admin's own.
func (c *Cluster) urlFor(name, password string) (string, error) {
	u, err := url.Parse(c.adminURL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return "", errors.New("the URL of the cluster for managed databases must begin with postgres://")
	}
	kept := url.Values{}
	for option, values := range u.Query() {
		switch option {
		case "host", "port", "sslmode", "sslrootcert", "sslsni", "connect_timeout", "target_session_attrs":
			kept[option] = values
		}
	}
	made := url.URL{Scheme: "postgres", User: url.UserPassword(name, password), Host: u.Host, Path: "/" + name, RawQuery: kept.Encode()}
	return made.String(), nil
}

func execAll(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	for _, statement := range statements {
		// CREATE DATABASE and its like can be neither prepared nor grouped.
		if _, err := conn.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
	}
	return nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}
