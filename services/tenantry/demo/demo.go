// Package demo makes the demo tenant of `tenantry dev`: a shop with data,
// permissions, an action and its handler. It works from outside, through the
// public HTTP API like any tenant, so it is also the first program that proves
// that API. Every step finds out whether it is done already; a start that was
// interrupted is finished by the next one.
package demo

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"

	"tenantry/services/tenantry/demo/handler"
	"tenantry/tenants/vault"
)

//go:embed shop.sql
var shopSQL string

//go:embed permissions.json
var permissions []byte

const (
	tenantSlug   = "demo"
	projectSlug  = "shop"
	actionName   = "placeOrder"
	handlerBase  = "HANDLER_BASE" // the project's variable with the handler's address
	demoCustomer = 1              // whose token is shown
)

// action is placeOrder as a person would register it.
var action = map[string]any{
	"name": actionName,
	"definition": `type Mutation { placeOrder(items: [OrderItem!]!, note: String): PlacedOrder }
input OrderItem { product_id: Int! quantity: Int! }
type PlacedOrder { order_id: Int! }`,
	"handler": "{{" + handlerBase + "}}/place-order",
	"kind":    "synchronous", "timeout": 10,
	"permissions":   []string{"customer"},
	"relationships": []any{map[string]any{"type": "PlacedOrder", "name": "order", "kind": "object", "table": "orders", "mapping": map[string]string{"order_id": "id"}}},
}

// Options say where the program is that the demo is made in.
type Options struct {
	DataDir     string // demo.json lies here
	PublicURL   string // base URL of the public listener
	OperatorURL string
	OperatorKey vault.Secret
	// ServerURL gives a superuser's URL of the Postgres with the managed
	// databases: for the handler, which needs one of the shop's.
	ServerURL func(database string) string
	Logger    *slog.Logger
	Stderr    io.Writer // for the handler's log
	// Command starts the handler; empty: this program with "demo-handler".
	Command []string
}

// Demo is the demo tenant of one run. Start and Stop are called once each.
type Demo struct {
	opts    Options
	state   State
	made    bool // Start has succeeded
	process *process
}

// New prepares a demo; nothing happens before Start.
func New(opts Options) *Demo {
	return &Demo{opts: opts, process: newProcess(opts.Command, opts.Logger, opts.Stderr)}
}

func (d *Demo) statePath() string { return filepath.Join(d.opts.DataDir, "demo.json") }

// Start makes what is missing of the demo tenant, starts its handler and tells
// the project the handler's address. The program must answer on PublicURL.
func (d *Demo) Start(ctx context.Context) error {
	state, err := loadState(d.statePath())
	if err != nil {
		return err
	}
	d.state = state
	d.state.point(d.opts.PublicURL, d.opts.OperatorURL)
	if err := d.save(); err != nil { // the seed, before the first request that uses it
		return err
	}
	steps := []step{
		{"sign up the tenant", d.ensureTenant},
		{"create the project", d.ensureProject},
		{"create a signing secret", d.ensureSigningSecret},
	}
	if !d.state.Complete {
		steps = append(steps,
			step{"fill the database", d.ensureTables},
			step{"track the tables", d.ensureTracked},
			step{"create the permissions", d.ensurePermissions},
			step{"configure authentication", d.ensureAuth})
	}
	steps = append(steps, step{"start the handler", d.startHandler})
	if !d.state.Complete {
		steps = append(steps, step{"create the action", d.ensureAction})
	}
	for _, s := range steps {
		if err := s.run(ctx); err != nil {
			var refused *statusError
			if errors.As(err, &refused) {
				d.state.Seed = rand.Text() // the same keys would get the same refusal again
			}
			return errors.Join(fmt.Errorf("%s: %w", s.name, err), d.save())
		}
		if err := d.save(); err != nil {
			return err
		}
	}
	d.state.Complete = true
	d.made = true
	return d.save()
}

type step struct {
	name string
	run  func(context.Context) error
}

// Stop ends the handler. Without Start it does nothing.
func (d *Demo) Stop(ctx context.Context) error { return d.process.stop(ctx) }

func (d *Demo) save() error { return saveState(d.statePath(), d.state) }

// asOperator and asOwner call the control API, asAdmin the project's own.
func (d *Demo) asOperator() client {
	return newClient(d.opts.PublicURL+"/api/v1", "Authorization", "Bearer "+d.opts.OperatorKey.Reveal())
}

func (d *Demo) asOwner() client {
	return newClient(d.opts.PublicURL+"/api/v1", "Authorization", "Bearer "+d.state.Tenant.Key)
}

func (d *Demo) asAdmin() client {
	return newClient(d.state.Project.URL, "X-Hasura-Admin-Secret", d.state.Project.AdminSecret)
}

// ensureTenant signs up. If the tenant is there but its key is lost, the
// operator makes another.
func (d *Demo) ensureTenant(ctx context.Context) error {
	t := &d.state.Tenant
	if t.Key != "" {
		return nil
	}
	var made struct {
		Tenant struct{ ID, Slug string } `json:"tenant"`
		Key    struct{ Secret string }   `json:"key"`
	}
	body := map[string]any{"name": "Demo", "slug": tenantSlug, "email": "demo@example.com"}
	err := d.asOperator().once(d.state.key("tenant")).do(ctx, http.MethodPost, "/tenants", body, &made)
	if err == nil {
		t.ID, t.Slug, t.Key = made.Tenant.ID, made.Tenant.Slug, made.Key.Secret
		return nil
	}
	if !hasStatus(err, http.StatusConflict) {
		return err
	}
	var found struct{ ID, Slug string }
	if err := d.asOperator().do(ctx, http.MethodGet, "/tenants/"+tenantSlug, nil, &found); err != nil {
		return err
	}
	var key struct{ Secret string }
	body = map[string]any{"name": "demo, made again", "role": "owner"}
	if err := d.asOperator().once(d.state.key("tenant-key")).do(ctx, http.MethodPost, "/tenants/"+tenantSlug+"/keys", body, &key); err != nil {
		return err
	}
	t.ID, t.Slug, t.Key = found.ID, found.Slug, key.Secret
	return nil
}

// ensureProject creates the shop on a managed database. If it is there but its
// secret is lost, another is made.
func (d *Demo) ensureProject(ctx context.Context) error {
	p := &d.state.Project
	if p.AdminSecret != "" {
		return nil
	}
	var made struct {
		Project     struct{ ID, Slug string } `json:"project"`
		AdminSecret string                    `json:"admin_secret"`
	}
	body := map[string]any{"name": "Shop", "slug": projectSlug, "database": map[string]any{"managed": true}}
	err := d.asOwner().once(d.state.key("project")).do(ctx, http.MethodPost, "/tenants/"+d.state.Tenant.ID+"/projects", body, &made)
	if err == nil {
		p.ID, p.Slug, p.AdminSecret = made.Project.ID, made.Project.Slug, made.AdminSecret
		return nil
	}
	if !hasStatus(err, http.StatusConflict) {
		return err
	}
	var found struct{ ID, Slug string }
	if err := d.asOwner().do(ctx, http.MethodGet, "/projects/"+projectSlug, nil, &found); err != nil {
		return err
	}
	var secret struct{ Secret string }
	body = map[string]any{"name": "demo, made again"}
	if err := d.asOwner().once(d.state.key("admin-secret")).do(ctx, http.MethodPost, "/projects/"+projectSlug+"/admin-secrets", body, &secret); err != nil {
		return err
	}
	p.ID, p.Slug, p.AdminSecret = found.ID, found.Slug, secret.Secret
	return nil
}

// ensureSigningSecret learns the secret that signs the calls to the handler, or
// makes one.
func (d *Demo) ensureSigningSecret(ctx context.Context) error {
	if d.state.Project.SigningSecret != "" {
		return nil
	}
	type signingSecret struct{ Secret string }
	var found struct{ Items []signingSecret }
	if err := d.asOwner().do(ctx, http.MethodGet, d.project("/signing-secrets?reveal=true"), nil, &found); err != nil {
		return err
	}
	for _, s := range found.Items {
		d.state.Project.SigningSecret = s.Secret
	}
	if d.state.Project.SigningSecret != "" {
		return nil
	}
	var made signingSecret
	err := d.asOwner().once(d.state.key("signing-secret")).do(ctx, http.MethodPost, d.project("/signing-secrets"), map[string]any{}, &made)
	d.state.Project.SigningSecret = made.Secret
	return err
}

// project is a path below the project in the control API.
func (d *Demo) project(path string) string { return "/projects/" + d.state.Project.ID + path }

// ensureTables creates and fills the tables, in one transaction.
func (d *Demo) ensureTables(ctx context.Context) error {
	exist, err := d.value(ctx, `SELECT to_regclass('public.reviews') IS NOT NULL`)
	if err != nil || exist == "t" || exist == "true" {
		return err
	}
	return d.asAdmin().do(ctx, http.MethodPost, "/v2/query", command("run_sql", map[string]any{"source": "default", "sql": shopSQL}), nil)
}

// value is the one value that a statement gives.
func (d *Demo) value(ctx context.Context, sql string) (string, error) {
	var answer struct{ Result [][]string }
	body := command("run_sql", map[string]any{"source": "default", "sql": sql, "read_only": true})
	if err := d.asAdmin().do(ctx, http.MethodPost, "/v2/query", body, &answer); err != nil {
		return "", err
	}
	if len(answer.Result) != 2 || len(answer.Result[1]) != 1 {
		return "", fmt.Errorf("expected one value from %q", sql)
	}
	return answer.Result[1][0], nil
}

func command(kind string, args any) map[string]any {
	return map[string]any{"type": kind, "args": args}
}

func (d *Demo) ensureTracked(ctx context.Context) error {
	return d.asOwner().do(ctx, http.MethodPost, d.project("/tables:track"), map[string]any{"tables": "all", "relationships": true}, nil)
}

// ensurePermissions creates those that the metadata does not have.
func (d *Demo) ensurePermissions(ctx context.Context) error {
	var document metadataDocument
	if err := d.asAdmin().do(ctx, http.MethodPost, "/v1/metadata", command("export_metadata", map[string]any{}), &document); err != nil {
		return err
	}
	missing, err := document.missing(permissions)
	if err != nil || len(missing) == 0 {
		return err
	}
	return d.asAdmin().do(ctx, http.MethodPost, "/v1/metadata", command("bulk", missing), nil)
}

func (d *Demo) ensureAuth(ctx context.Context) error {
	body := map[string]any{"jwt": []any{map[string]any{"type": "HS256", "key": d.state.Project.JWTKey}}}
	return d.asOwner().do(ctx, http.MethodPut, d.project("/auth"), body, nil)
}

// startHandler starts the handler on the shop's database and writes its address
// into the project's variable, which the action's URL is built with.
func (d *Demo) startHandler(ctx context.Context) error {
	name, err := d.value(ctx, `SELECT current_database()`)
	if err != nil {
		return err
	}
	owner, err := d.value(ctx, `SELECT current_user`)
	if err != nil {
		return err
	}
	database, err := withRole(d.opts.ServerURL(name), owner)
	if err != nil {
		return err
	}
	address, err := d.process.start(ctx, handler.Config{
		DatabaseURL: database, SigningSecret: d.state.Project.SigningSecret, Listen: "127.0.0.1:0",
	})
	if err != nil {
		return err
	}
	body := map[string]any{"value": "http://" + address, "secret": false}
	return d.asOwner().do(ctx, http.MethodPut, d.project("/variables/"+handlerBase), body, nil)
}

// withRole makes the sessions of a URL those of a role: what the handler does,
// the owner of the shop's database does.
func withRole(databaseURL, role string) (string, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "", fmt.Errorf("the URL of the shop's database cannot be read")
	}
	q := u.Query()
	q.Set("role", role)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

func (d *Demo) ensureAction(ctx context.Context) error {
	err := d.asOwner().do(ctx, http.MethodGet, d.project("/actions/"+actionName), nil, nil)
	if !hasStatus(err, http.StatusNotFound) {
		return err
	}
	return d.asOwner().do(ctx, http.MethodPost, d.project("/actions"), action, nil)
}
