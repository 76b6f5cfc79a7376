package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// peerFiles are PostGraphile's packages and settings, and its spelling of the set.
//
//go:embed postgraphile
var peerFiles embed.FS

// peerQueries are those that the peer can answer; it has no actions.
func peerQueries(from []query) []query {
	return slices.DeleteFunc(slices.Clone(from), func(q query) bool { return q.peer == 0 })
}

// peers measures Tenantry beside PostGraphile in alternating windows.
func (b *bench) peers(ctx context.Context) error {
	peer, address, err := b.startPeer(ctx)
	if err != nil {
		return fmt.Errorf("PostGraphile: %w", err)
	}
	defer peer.stop()
	text, err := peerFiles.ReadFile("postgraphile/queries.graphql")
	if err != nil {
		return err
	}
	texts := operations(string(text))
	var cells [][]string
	var judged []outcome
	for _, q := range peerQueries(b.only) {
		_, ours := b.pair(q)
		theirs := contestant{name: q.name + " of PostGraphile", address: address, pid: peer.pid()}
		for _, id := range q.ids(b.ids, b.scale) {
			theirs.requests = append(theirs.requests, peerRequest(q, texts[q.name], id))
		}
		r, err := b.alternate(ctx, q, theirs, ours, nil)
		if err != nil {
			return err
		}
		b.say("%s measured", q.name)
		cells = append(cells, r.cells())
		judged = append(judged, outcome{fmt.Sprintf("%s %.2f × PostGraphile, at least %.2f", q.name, rounded(r.ratio), q.peer), rounded(r.ratio) >= q.peer})
	}
	header := slices.Clone(columns)
	header[1] = "PostGraphile req/s"
	fmt.Print(table(header, cells))
	memory, err := peakMemory(peer.pid())
	if err != nil {
		return err
	}
	fmt.Printf("\npeak resident memory of PostGraphile %.0f MiB\n\n", memory)
	for _, o := range judged {
		fmt.Println(o)
	}
	if b.check && slices.ContainsFunc(judged, func(o outcome) bool { return !o.met }) {
		return errMissed
	}
	return nil
}

// peerRequest names the user of Q6 in the header that the peer's settings read.
func peerRequest(q query, text string, id int64) []byte {
	variables := q.variables(id)
	for _, name := range []string{"id", "user"} {
		// BigInt is a string there, Int a number.
		if n, ok := variables[name].(int64); ok && q.name != "Q2" {
			variables[name] = strconv.FormatInt(n, 10)
		}
	}
	body, err := json.Marshal(map[string]any{"query": text, "variables": variables})
	if err != nil {
		panic(err) // texts and numbers
	}
	if q.name == "Q6" {
		return request("POST", "/graphql", string(body), "X-User-Id", strconv.FormatInt(id, 10))
	}
	return request("POST", "/graphql", string(body))
}

// startPeer installs PostGraphile into the cache, once, and starts it.
func (b *bench) startPeer(ctx context.Context) (*process, string, error) {
	folder := filepath.Join(b.cache, "postgraphile")
	if err := b.installPeer(ctx, folder); err != nil {
		return nil, "", err
	}
	if err := b.preparePeer(ctx); err != nil {
		return nil, "", err
	}
	free, err := freeAddresses(1)
	if err != nil {
		return nil, "", err
	}
	_, port, err := net.SplitHostPort(free[0])
	if err != nil {
		return nil, "", err
	}
	p, err := start("PostGraphile", filepath.Join(folder, "node_modules", ".bin", "node"), []string{filepath.Join(folder, "server.mjs")},
		"DSN="+b.database.url(dataDatabase), "PORT="+port, "NODE_ENV=production", "GRAPHILE_ENV=production")
	if err != nil {
		return nil, "", err
	}
	one := queries[0]
	err = p.await(ctx, 2*time.Minute, 100*time.Millisecond, func() error {
		a, err := newAsker(free[0])
		if err != nil {
			return err
		}
		defer a.close()
		text, err := peerFiles.ReadFile("postgraphile/queries.graphql")
		if err != nil {
			return err
		}
		_, err = a.ask(peerRequest(one, operations(string(text))[one.name], 1))
		return err
	})
	if err != nil {
		p.stop()
		return nil, "", err
	}
	return p, free[0], nil
}

func (b *bench) installPeer(ctx context.Context, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"package.json", "server.mjs"} {
		text, err := peerFiles.ReadFile("postgraphile/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "postgraphile")); err == nil {
		return nil
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return errors.New("npm is needed, and Node: https://nodejs.org")
	}
	b.say("installing PostGraphile from npm, once")
	c := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund")
	c.Dir = folder
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("npm install: %w\n%s", err, out)
	}
	return nil
}

// preparePeer gives the database what the peer's Q6 needs: a role that sees its
// own orders by a row policy. Superusers, as whom all others come, pass it by.
func (b *bench) preparePeer(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, b.database.url(dataDatabase))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, `
		DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app_user') THEN CREATE ROLE app_user; END IF; END $$;
		GRANT SELECT ON orders TO app_user;
		ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON orders TO app_user USING (user_id = current_setting('app.user_id')::bigint)`, pgx.QueryExecModeSimpleProtocol)
	return err
}
