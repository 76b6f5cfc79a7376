package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tenantry/ops/postgres"
)

//go:embed dataset.sql
var dataset string

// Databases of a run; both are made anew for each.
const (
	dataDatabase    = "bench"
	controlDatabase = "control"
)

// allocator has the C library keep the memory that a statement gives back for the
// next one. By default it returns to the kernel what lies at the end of a backend's
// heap, or not, by where a small thing of an earlier statement came to lie; where
// page faults are dear, a statement that builds a large JSON costs twice as much in
// one run as in another.
var allocator = []string{"MALLOC_TRIM_THRESHOLD_=67108864", "MALLOC_MMAP_THRESHOLD_=33554432", "MALLOC_TOP_PAD_=1048576"}

// database is the one Postgres that serves everybody: the floor, Tenantry's
// project, and Tenantry's control plane.
type database struct {
	server *postgres.Server
}

// startDatabase starts Postgres in a folder and makes the databases of a run: the
// data set is loaded once and copied after that, so that what Q7 inserts does not
// pile up.
func startDatabase(ctx context.Context, folder string, scale int, say func(string, ...any)) (*database, error) {
	server, err := postgres.Start(ctx, postgres.Options{
		// Everything is in memory, and nothing runs beside the contestants. What a disk
		// costs is the machine's, so nothing waits for one.
		DataDir: folder, TCP: true, Durable: false, Logger: slog.New(slog.DiscardHandler),
		Environment: allocator,
		Settings:    map[string]string{"shared_buffers": "768MB", "max_connections": "200", "max_wal_size": "8GB", "checkpoint_timeout": "1h", "autovacuum": "off", "jit": "off"},
	})
	if err != nil {
		return nil, err
	}
	d := &database{server: server}
	if err := d.prepare(ctx, scale, say); err != nil {
		d.stop()
		return nil, err
	}
	return d, nil
}

func (d *database) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_ = d.server.Stop(ctx) // the next start recovers
}

func (d *database) url(name string) string { return d.server.URL(name) }

func (d *database) cpu() (time.Duration, error) { return cpuOfFamily(d.server.Pid()) }

// version of Postgres, as it says itself.
func (d *database) version(ctx context.Context) (string, error) {
	conn, err := pgx.Connect(ctx, d.url("postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var version string
	err = conn.QueryRow(ctx, "SHOW server_version").Scan(&version)
	return version, err
}

func (d *database) prepare(ctx context.Context, scale int, say func(string, ...any)) error {
	text := scaled(dataset, scale)
	template := fmt.Sprintf("dataset_%x", sha256.Sum256([]byte(text)))[:24]
	conn, err := pgx.Connect(ctx, d.url("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var loaded bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", template).Scan(&loaded); err != nil {
		return err
	}
	if !loaded {
		say("loading the data set, once")
		if err := d.load(ctx, conn, template, text); err != nil {
			return fmt.Errorf("load the data set: %w", err)
		}
	}
	for _, statement := range []string{
		"DROP DATABASE IF EXISTS " + dataDatabase + " WITH (FORCE)", "DROP DATABASE IF EXISTS " + controlDatabase + " WITH (FORCE)",
		"CREATE DATABASE " + controlDatabase, "CREATE DATABASE " + dataDatabase + " TEMPLATE " + template, "CHECKPOINT",
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// load fills a database under another name, so that one that was interrupted is
// never taken for whole.
func (d *database) load(ctx context.Context, admin *pgx.Conn, name, text string) error {
	const unfinished = "dataset_loading"
	for _, statement := range []string{"DROP DATABASE IF EXISTS " + unfinished + " WITH (FORCE)", "CREATE DATABASE " + unfinished} {
		if _, err := admin.Exec(ctx, statement); err != nil {
			return err
		}
	}
	conn, err := pgx.Connect(ctx, d.url(unfinished))
	if err != nil {
		return err
	}
	for _, statement := range statements(text) {
		if _, err := conn.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			_ = conn.Close(ctx)
			return fmt.Errorf("%.80s…: %w", statement, err)
		}
	}
	if err := conn.Close(ctx); err != nil {
		return err
	}
	_, err = admin.Exec(ctx, "ALTER DATABASE "+unfinished+" RENAME TO "+name)
	return err
}

// statements splits a script whose statements end with their lines, and leaves
// out comments and psql's own commands.
func statements(script string) []string {
	var out []string
	var current strings.Builder
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "--") || strings.HasPrefix(line, `\`) {
			continue
		}
		current.WriteString(line)
		if strings.HasSuffix(strings.TrimSpace(line), ";") {
			out = append(out, strings.TrimSpace(current.String()))
			current.Reset()
		}
	}
	if rest := strings.TrimSpace(current.String()); rest != "" {
		out = append(out, rest)
	}
	return out
}

// sizes are the numbers of rows in the data set, and the ranges of its keys.
var sizes = regexp.MustCompile(`\b(?:10000|20000|200000|500000|1000000)\b`)

// scaled is the data set with a scale-th of the rows.
func scaled(script string, scale int) string {
	if scale == 1 {
		return script
	}
	return sizes.ReplaceAllStringFunc(script, func(text string) string {
		n, err := strconv.Atoi(text)
		if err != nil {
			panic(err) // digits
		}
		return strconv.Itoa(n / scale)
	})
}

// dataFolder is where Postgres lies: kept in the cache, or for a small data set
// in a folder that goes with the run.
func dataFolder(cache string, scale int) (folder string, remove func(), err error) {
	if scale == 1 {
		return filepath.Join(cache, "postgres"), func() {}, os.MkdirAll(cache, 0o711)
	}
	folder, err = os.MkdirTemp("", "tenantry-bench-")
	return folder, func() { _ = os.RemoveAll(folder) }, err
}
