package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

// hunt plants secrets in a running program and looks for them wherever the
// program writes.
type hunt struct {
	testing.TB
	secrets map[string][]string // texts by the place that they were planted in or made for
	answers []witness
}

// witness is something that the program wrote.
type witness struct{ name, text string }

func newHunt(t testing.TB) *hunt { return &hunt{TB: t, secrets: map[string][]string{}} }

// plant makes a canary for a place.
func (h *hunt) plant(place string) string {
	text := "canary" + rand.Text() + rand.Text()
	h.keep(place, text)
	return text
}

// keep adds a secret that the program made itself.
func (h *hunt) keep(place, secret string) {
	if secret != "" && !slices.Contains(h.secrets[place], secret) {
		h.secrets[place] = append(h.secrets[place], secret)
	}
}

// call is send; the answer is a witness.
func (h *hunt) call(method, url string, headers headers, body any) answer {
	h.Helper()
	a := send(h, method, url, headers, body)
	h.witness(method+" "+url, a)
	return a
}

// need is call for an answer that is expected.
func (h *hunt) need(status int, method, url string, headers headers, body any) answer {
	h.Helper()
	a := h.call(method, url, headers, body)
	if a.Status != status {
		h.Fatalf("%s %s: %d, expected %d: %s", method, url, a.Status, status, a.Text)
	}
	return a
}

// shows is need for an answer that shows a secret by contract, at path, and
// nothing else of the kind.
func (h *hunt) shows(place string, status int, method, url string, headers headers, body any, path ...any) (answer, string) {
	h.Helper()
	a := must(h, status, method, url, headers, body)
	secret := a.text(h, path...)
	h.keep(place, secret)
	seen := a
	seen.Text = strings.Replace(a.Text, secret, "", 1)
	h.witness(method+" "+url, seen)
	return a, secret
}

func (h *hunt) witness(name string, a answer) {
	var b strings.Builder
	_ = a.Header.Write(&b) // memory takes all
	h.saw("the answer to "+name, b.String()+"\n"+a.Text)
}

func (h *hunt) saw(name, text string) { h.answers = append(h.answers, witness{name, text}) }

// keyMaterial is a key in a keyring.
var keyMaterial = regexp.MustCompile(`"value"\s*:\s*"([^"]+)"`)

// keepKeyring keeps the keys that seal everything else.
func (h *hunt) keepKeyring(file string) {
	h.Helper()
	found := keyMaterial.FindAllStringSubmatch(readText(h, file), -1)
	if len(found) == 0 {
		h.Fatalf("no keys in %s", file)
	}
	for _, key := range found {
		h.keep("keyring", key[1])
	}
}

// keepFields keeps every secret of the settings of all projects, as the store
// has them, by its place in the type. It returns those places.
func (h *hunt) keepFields(database, keyring string) map[string]bool {
	h.Helper()
	ctx := context.Background()
	v, err := vault.Open(keyring)
	if err != nil {
		h.Fatal(err)
	}
	s, err := store.Open(ctx, database, v)
	if err != nil {
		h.Fatal(err)
	}
	defer s.Close()
	tenants, _, err := s.Tenants(ctx, store.Page{Limit: 200})
	if err != nil {
		h.Fatal(err)
	}
	places := map[string]bool{}
	for _, tenant := range tenants {
		projects, _, err := s.Projects(ctx, tenant.ID, store.Page{Limit: 200})
		if err != nil {
			h.Fatal(err)
		}
		for _, p := range projects {
			set, _, err := s.Settings(ctx, p.ID)
			if err != nil {
				h.Fatal(err)
			}
			found, err := vault.Extract(&set)
			if err != nil {
				h.Fatal(err)
			}
			for at, secret := range found {
				place := "settings." + index.ReplaceAllString(at, "[]")
				places[place] = true
				h.keep(place, secret)
			}
		}
	}
	return places
}

// needles are the forms in which a secret can turn up.
func needles(secret string) []string {
	cores := []string{secret}
	if u, err := url.Parse(secret); err == nil && u.User != nil {
		password, _ := u.User.Password()
		cores = []string{password} // host and name of a database are no secrets
	} else if _, random, ok := strings.Cut(secret, "_"); ok && len(random) >= 32 {
		cores = append(cores, random) // without the readable beginning
	}
	var all []string
	for _, core := range cores {
		quoted, _ := json.Marshal(core) // a text always encodes
		all = append(all, core, string(quoted[1:len(quoted)-1]), url.QueryEscape(core), url.PathEscape(core),
			hex.EncodeToString([]byte(core)), strings.ToUpper(hex.EncodeToString([]byte(core))))
		for shift := range 3 { // where it may lie inside of something longer
			padded := append(bytes.Repeat([]byte{'x'}, shift), core...)
			for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				text := encoding.EncodeToString(padded)
				all = append(all, text[(shift*8+5)/6:len(text)-2]) // the ends depend on the neighbours
			}
		}
		if raw, err := base64.StdEncoding.DecodeString(core); err == nil && len(raw) >= 16 {
			all = append(all, hex.EncodeToString(raw), string(raw))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// search looks for all secrets in everything that was seen; except names places
// whose secrets a witness may show.
func (h *hunt) search(except map[string][]string) {
	h.Helper()
	for place, secrets := range h.secrets {
		for _, secret := range secrets {
			if len(secret) < 16 {
				h.Fatalf("the secret for %s is too short to be looked for", place)
			}
			for _, needle := range needles(secret) {
				for _, w := range h.answers {
					if at := strings.Index(w.text, needle); at >= 0 && !slices.Contains(except[w.name], place) {
						h.Errorf("the secret of %s is in %s: …%s…", place, w.name, w.text[max(0, at-200):min(len(w.text), at+len(needle)+50)])
					}
				}
			}
		}
	}
}

// dumped is the content of a whole database, as a dump has it.
func dumped(t testing.TB, database string) string {
	t.Helper()
	ctx := context.Background()
	connection, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close(ctx)
	rows, err := connection.Query(ctx, `SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_toast%'`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, table := range tables {
		b.WriteString("-- " + table + "\n")
		if _, err := connection.PgConn().CopyTo(ctx, &b, "COPY (SELECT * FROM "+table+") TO STDOUT"); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(b.String(), "tenantry.") {
		t.Fatalf("the dump has no tables of ours: %v", tables)
	}
	return b.String()
}

// lookAround makes witnesses of what operators and tenants read of a running
// program.
func (h *hunt) lookAround(s *server, operatorKey string) {
	h.Helper()
	for _, path := range []string{"/metrics", "/healthz/ready", "/healthz/live", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2"} {
		h.call(http.MethodGet, s.OperatorURL+path, nil, nil)
	}
	list := func(path string, each func(id string)) {
		h.Helper()
		for cursor, more := "", true; more; {
			a := h.need(http.StatusOK, http.MethodGet, s.PublicURL+"/api/v1"+path+"?limit=200"+cursor, bearer(operatorKey), nil)
			for i := 0; a.at("items", i) != nil; i++ {
				each(a.text(h, "items", i, "id"))
			}
			next, _ := a.at("next_cursor").(string)
			cursor, more = "&cursor="+url.QueryEscape(next), next != ""
		}
	}
	list("/tenants", func(tenant string) {
		list("/tenants/"+tenant+"/audit", func(string) {})
		list("/tenants/"+tenant+"/projects", func(project string) {
			list("/projects/"+project+"/audit", func(string) {})
			ids := map[idKind]string{tenantKind: tenant, projectKind: project}
			for _, o := range apiOperations(h, s) {
				if kinds := o.kinds(); o.Method == http.MethodGet && len(kinds) == 1 && ids[kinds[0]] != "" {
					h.call(o.Method, s.PublicURL+o.address(h, ids), bearer(operatorKey), nil)
				}
			}
		})
	})
}
