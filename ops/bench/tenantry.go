package main

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// metadata are the commands that track the data set, with the permissions and
// limits that a project in production has.
//
//go:embed metadata.json
var metadataCommands string

const slug = "bench"

// tenantry is a running `tenantry serve` with a project on the data set.
type tenantry struct {
	*process
	binary, dataDir          string
	public, operator         string // host:port
	databaseURL, operatorKey string
	ownerKey, adminSecret    string
	jwtKey, endpoint         string
}

// startTenantry starts the program as an operator would, and sets up a project
// over its public API.
func startTenantry(ctx context.Context, o options, d *database, hook string) (*tenantry, error) {
	dataDir, err := os.MkdirTemp("", "tenantry-bench-data-")
	if err != nil {
		return nil, err
	}
	t := &tenantry{
		binary: o.binary, dataDir: dataDir, databaseURL: d.url(controlDatabase),
		operatorKey: rand.Text(), jwtKey: rand.Text() + rand.Text(), endpoint: "/p/" + slug + "/v1/graphql",
	}
	if t.process, t.public, t.operator, err = t.serve(ctx); err == nil {
		err = t.setUp(ctx, d.url(dataDatabase), hook, o.pool)
	}
	if err != nil {
		t.stop()
		return nil, err
	}
	return t, nil
}

// serve starts one node.
func (t *tenantry) serve(ctx context.Context) (p *process, public, operator string, err error) {
	p, public, operator, err = t.launch()
	if err != nil {
		return nil, "", "", err
	}
	if err = p.await(ctx, time.Minute, 20*time.Millisecond, answers("http://"+operator+"/healthz/ready")); err != nil {
		p.stop()
		return nil, "", "", err
	}
	return p, public, operator, nil
}

func (t *tenantry) launch() (p *process, public, operator string, err error) {
	free, err := freeAddresses(2)
	if err != nil {
		return nil, "", "", err
	}
	p, err = start("tenantry serve", t.binary, []string{
		"serve", "--listen", free[0], "--operator-listen", free[1], "--data-dir", t.dataDir, "--egress-allow", "127.0.0.0/8", "--egress-ports", "any", "--log-level", "warn",
	}, "TENANTRY_DATABASE_URL="+t.databaseURL, "TENANTRY_OPERATOR_KEY="+t.operatorKey)
	return p, free[0], free[1], err
}

func (t *tenantry) stop() {
	t.process.stop()
	_ = os.RemoveAll(t.dataDir)
}

func (t *tenantry) setUp(ctx context.Context, database, hook string, pool int) error {
	var signedUp struct {
		Key struct{ Secret string }
	}
	if err := t.call(ctx, "POST", "/api/v1/tenants", "Bearer "+t.operatorKey, map[string]any{"name": "Bench", "slug": slug, "email": "bench@example.com"}, &signedUp); err != nil {
		return err
	}
	t.ownerKey = signedUp.Key.Secret
	var made struct {
		AdminSecret string `json:"admin_secret"`
	}
	project := map[string]any{"name": "Bench", "slug": slug, "database": map[string]any{"url": database}}
	if err := t.call(ctx, "POST", "/api/v1/tenants/"+slug+"/projects", "Bearer "+t.ownerKey, project, &made); err != nil {
		return err
	}
	t.adminSecret = made.AdminSecret
	auth := map[string]any{"jwt": []any{map[string]any{"type": "HS256", "key": t.jwtKey}}}
	if err := t.call(ctx, "PUT", "/api/v1/projects/"+slug+"/auth", "Bearer "+t.ownerKey, auth, nil); err != nil {
		return err
	}
	text := strings.NewReplacer(`"$POOL"`, fmt.Sprint(pool), "$HOOK", hook).Replace(metadataCommands)
	return t.call(ctx, "POST", "/p/"+slug+"/v1/metadata", "", json.RawMessage(text), nil)
}

// call calls the control API with a credential, or without one the project as
// its admin.
func (t *tenantry) call(ctx context.Context, method, path, credential string, body, out any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+t.public+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if credential != "" {
		r.Header.Set("Authorization", credential)
	} else {
		r.Header.Set("X-Hasura-Admin-Secret", t.adminSecret)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s answered %s: %s", method, path, response.Status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// request asks Tenantry for a query as a signed-in client does.
func (t *tenantry) request(q query, text string, id int64) []byte {
	user := id
	if q.name != "Q6" {
		user = 1 + id%500 // of Q6 alone the answer depends on who asks
	}
	return request("POST", t.endpoint, q.graphql(text, id), "Authorization", "Bearer "+token(t.jwtKey, q.role(), user))
}

// firstAnswer starts another node on the same databases and measures how long it
// takes until a query is answered.
func (t *tenantry) firstAnswer(ctx context.Context, q query, text string) (time.Duration, error) {
	begin := time.Now()
	p, public, _, err := t.launch()
	if err != nil {
		return 0, err
	}
	defer p.stop()
	err = p.await(ctx, time.Minute, time.Millisecond, func() error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+public+t.endpoint, strings.NewReader(q.graphql(text, 1)))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token(t.jwtKey, q.role(), 1))
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK || bytes.HasPrefix(body, errorsMember) {
			return fmt.Errorf("answered %s: %s", response.Status, body)
		}
		return nil
	})
	return time.Since(begin), err
}
