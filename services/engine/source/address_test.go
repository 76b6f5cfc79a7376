package source_test

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tenantry/api/errcode"
	"tenantry/ops/postgres/pgtest"
	"tenantry/services/engine/source"
	"tenantry/tenants/vault"
)

func TestAnAddressMustSayAllAndNameNoFiles(t *testing.T) {
	t.Parallel()
	const form = "not a Postgres URL: expected postgres://user:password@host:port/database"
	for address, want := range map[string]string{
		"":                                     form,
		"host=/var/run/postgresql user=a":      form,
		"mysql://u:canary@h/db":                form,
		"postgres://h/db":                      form,
		"postgres://:canary@h/db":              form,
		"postgres://u:canary@/db":              form,
		"postgres://u:canary@:5432/db":         form,
		"postgres://u:canary@/db?host=":        form,
		"postgres://u:canary@a,,b/db":          form,
		"postgres://u:canary@h:notaport/db":    form,
		"postgres://u:canary@h:99999/db":       form,
		"postgres://u@h/db":                    "the database URL has no password: expected postgres://user:password@host:port/database",
		"postgres://u:@h/db":                   "the database URL has no password: expected postgres://user:password@host:port/database",
		"postgres://u:canary@h/db?sslmode=bad": form,
	} {
		_, err := source.NewPools(dialer).Source(vault.NewSecret(address), source.Options{})
		if err == nil || err.Error() != want || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	for _, name := range []string{"passfile", "service", "servicefile", "sslcert", "sslkey", "sslrootcert", "sslpassword", "user", "password", "dbname", "target_session_attrs", "default_query_exec_mode", "pool_max_conns", "statement_timeout"} {
		_, err := source.NewPools(dialer).Source(vault.NewSecret("postgres://u:canary@h/db?"+name+"=x"), source.Options{})
		if want := `the database URL has the parameter "` + name + `", which is not supported`; err == nil || err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The environment and the files of this machine belong to the operator: they
// must neither complete nor change what a tenant wrote. Not parallel: it sets
// the environment of the process.
func TestTheEnvironmentHasNoPartInAConnection(t *testing.T) {
	address, err := url.Parse(pgtest.Database(t))
	must(t, err)
	password, _ := address.User.Password()
	home := t.TempDir()
	pass := filepath.Join(home, ".pgpass")
	must(t, os.WriteFile(pass, []byte("*:*:*:*:"+password+"\n"), 0o600))
	for name, value := range map[string]string{
		"HOME": home, "PGPASSFILE": pass, "PGHOST": "elsewhere.invalid", "PGPORT": "1", "PGUSER": "nobody", "PGPASSWORD": password, "PGDATABASE": "nowhere",
		"PGSSLMODE": "verify-full", "PGSSLCERT": "/nonexistent", "PGSSLKEY": "/nonexistent", "PGSSLROOTCERT": "/nonexistent", "PGOPTIONS": "-c search_path=operator",
		"PGTZ": "Asia/Tokyo", "PGAPPNAME": "operator", "PGTARGETSESSIONATTRS": "standby", "PGCONNECT_TIMEOUT": "1", "PGCHANNELBINDING": "require",
		"PGREQUIREAUTH": "none", "PGMINPROTOCOLVERSION": "3.2", "PGSSLNEGOTIATION": "direct", "PGSSLCERTMODE": "require",
	} {
		t.Setenv(name, value)
	}
	src := open(t, dialer, address.String(), source.Options{})
	out, err := src.Query(t.Context(), []source.Bound{{SQL: `SELECT concat_ws(' ', current_setting('search_path'), current_setting('application_name'), current_database() = current_user, current_setting('TimeZone') <> 'Asia/Tokyo')`}})
	if err != nil {
		t.Fatalf("%v: %v", err, errors.Unwrap(err))
	}
	if got, want := string(out[0]), `"$user", public tenantry t t`; got != want {
		t.Errorf("the session has %s, want %s", got, want)
	}
	t.Setenv("PGSERVICE", "operator")
	if _, err := source.NewPools(dialer).Source(vault.NewSecret(address.String()), source.Options{}); err == nil {
		t.Error("a service of the operator's would add to the connection")
	}
	must(t, os.Unsetenv("PGSERVICE")) // Setenv puts back what was there before
	wrong := *address
	wrong.User = url.UserPassword(address.User.Username(), "wrong-canary")
	err = open(t, dialer, wrong.String(), source.Options{}).Probe(t.Context())
	refused(t, err, errcode.ConnectionFailed, "the database refused the user or password")
	if strings.Contains(errors.Unwrap(err).Error(), "canary") {
		t.Error("the error's cause holds the password")
	}
}

func TestAProbeSaysWhatIsWrongWithADatabase(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(pgtest.Database(t))
	must(t, err)
	probe := func(change func(*url.URL)) error {
		u := *address
		change(&u)
		return open(t, dialer, u.String(), source.Options{}).Probe(t.Context())
	}
	if err := probe(func(*url.URL) {}); err != nil {
		t.Errorf("a good database: %v", err)
	}
	refused(t, probe(func(u *url.URL) { u.User = url.UserPassword("stranger", "x") }), errcode.ConnectionFailed, "the database refused the user or password")
	refused(t, probe(func(u *url.URL) { u.Path = "/nowhere" }), errcode.ConnectionFailed, "the server has no database of that name")
	refused(t, probe(func(u *url.URL) { u.Host, u.RawQuery = "127.0.0.1:1", "" }), errcode.ConnectionFailed, "the database can't be reached")
}
