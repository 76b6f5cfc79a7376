package config_test

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"tenantry/services/tenantry/config"

	"tenantry/policy/egress"
	"tenantry/policy/limits"
)

var update = flag.Bool("update", false, "write golden files anew")

// sources parses arguments and takes an environment of its own.
func sources(t *testing.T, args []string, environ ...string) config.Sources {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return config.Sources{Flags: flags, Environ: append([]string{"HOME=/home/someone"}, environ...)}
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreTheGoldenFile(t *testing.T) {
	t.Parallel()
	for _, command := range []config.Command{config.Dev, config.Serve} {
		var out strings.Builder
		if err := config.Print(&out, command, sources(t, nil)); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", string(command)+".yaml")
		if *update {
			if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if out.String() != string(want) {
			t.Errorf("defaults of %s differ from %s (go test -update writes it anew):\n%s", command, golden, out.String())
		}
	}
}

func TestDevNeedsNothingAndAllowsLoopback(t *testing.T) {
	t.Parallel()
	c, err := config.Load(config.Dev, sources(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != "/home/someone/.local/share/tenantry" || c.Keyring != c.DataDir+"/keyring.json" {
		t.Errorf("data in %s, keyring %s", c.DataDir, c.Keyring)
	}
	if !c.Demo || c.Signup != config.SignupOpen || c.DrainTimeout != 10*time.Second {
		t.Errorf("defaults of dev: %+v", c)
	}
	for _, network := range egress.Loopback() {
		if !slices.Contains(c.EgressAllow, network) {
			t.Errorf("dev does not allow %s", network)
		}
	}
	root := sources(t, nil)
	root.Root = true
	if c, err = config.Load(config.Dev, root); err != nil || c.DataDir != "/var/lib/tenantry" {
		t.Errorf("root's data in %q, %v", c.DataDir, err)
	}
}

func TestServeAllowsNoPrivateNetworkByItself(t *testing.T) {
	t.Parallel()
	c, err := config.Load(config.Serve, sources(t, nil, "TENANTRY_DATABASE_URL=postgres://a@b/c", "TENANTRY_OPERATOR_KEY=key"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.EgressAllow) != 0 || c.Demo || c.Signup != config.SignupOperator || !c.ManagedURL.IsZero() {
		t.Errorf("defaults of serve: %+v", c)
	}
	web, databases := egress.Ports{{First: 80, Last: 80}, {First: 443, Last: 443}}, egress.Ports{{First: 5432, Last: 5432}, {First: 6432, Last: 6432}, {First: 1024, Last: 65535}}
	if !slices.Equal(c.EgressPorts, web) || !slices.Equal(c.EgressDatabasePorts, databases) {
		t.Errorf("ports %v, of databases %v", c.EgressPorts, c.EgressDatabasePorts)
	}
}

func TestFlagsComeBeforeEnvironmentBeforeFile(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "tenantry.yaml", `
listen: ":1"
operator-listen: ":2"
log-level: warn
demo: false
egress-allow: [10.0.0.0/8, 192.168.1.7]
egress-ports: [443, 8000-8999]
managed-extensions: ltree, postgis
drain-timeout: 7s
trusted-proxies: 10.1.2.3
plans: [free requests=10 concurrent=4, pro actions=60 sockets=5 calls=7]
`)
	c, err := config.Load(config.Dev, sources(t, []string{"--config", path, "--listen", ":100"},
		"TENANTRY_LISTEN=:10", "TENANTRY_OPERATOR_LISTEN=:20", "TENANTRY_LOG_LEVEL="))
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != ":100" || c.OperatorListen != ":20" || c.LogLevel != "warn" || c.Demo || c.DrainTimeout != 7*time.Second {
		t.Errorf("got %+v", c)
	}
	if len(c.Plans) != 2 || c.Plans["free"] != (limits.Plan{Requests: 10, Concurrent: 4}) || c.Plans["pro"] != (limits.Plan{Actions: 60, Sockets: 5, Calls: 7}) {
		t.Errorf("plans %+v", c.Plans)
	}
	want := append([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.168.1.7/32")}, egress.Loopback()...)
	if !slices.Equal(c.EgressAllow, want) || !slices.Equal(c.EgressPorts, egress.Ports{{First: 443, Last: 443}, {First: 8000, Last: 8999}}) {
		t.Errorf("egress %v, ports %v", c.EgressAllow, c.EgressPorts)
	}
	if !slices.Equal(c.ManagedExtensions, []string{"ltree", "postgis"}) || c.TrustedProxies[0].String() != "10.1.2.3/32" {
		t.Errorf("extensions %v, proxies %v", c.ManagedExtensions, c.TrustedProxies)
	}
}

func TestAFlagWithoutValueTurnsTheDemoOnAndFalseTurnsItOff(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]bool{"--demo": true, "--demo=false": false, "--demo=0": false} {
		c, err := config.Load(config.Dev, sources(t, []string{arg}, "TENANTRY_DEMO=false"))
		if err != nil || c.Demo != want {
			t.Errorf("%s: demo %v, %v", arg, c.Demo, err)
		}
	}
}

func TestEveryMistakeIsToldAtOnceByTheNameThatWasUsed(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "tenantry.yaml", "lissen: x\negress-ports: [0]\ntls-key: {a: b}\n")
	_, err := config.Load(config.Serve, sources(t,
		[]string{"--config=" + path, "--listen=nonsense", "--egress-allow=10.0.0.0/8,here,there", "--demo=maybe"},
		"TENANTRY_LOGLEVEL=debug", "TENANTRY_DATABASE_URL=mysql://root:canary@db/x", "TENANTRY_DRAIN_TIMEOUT=-1s",
		"TENANTRY_PLANS=free requests=10, free requests=2, pro, big speed=3, small sockets=0", "TENANTRY_REDIS_URL=http://:canary@redis", "TENANTRY_MANAGED_EXTENSIONS=a;b", "TENANTRY_OPERATOR_KEY=two words canary",
		"TENANTRY_TEST_ANYTHING=1", "TENANTRY_KEY=tk_1", "TENANTRY_SIGNING_SECRET=whsec_x", "TENANTRY_SERVICE_HOST=10.0.0.1", "TENANTRY_PORT_8080_TCP=tcp://10.0.0.1:8080"))
	var mistakes config.Mistakes
	if !errors.As(err, &mistakes) {
		t.Fatalf("got %v", err)
	}
	wants := []string{
		"lissen in " + path + ": there is no such setting",
		"tls-key in " + path + ": expected a value",
		"egress-ports in " + path + ": expected ports",
		"TENANTRY_LOGLEVEL: there is no such setting",
		"--listen: expected host:port",
		`--egress-allow: expected networks such as 10.0.0.0/8, got "here"`,
		`--egress-allow: expected networks such as 10.0.0.0/8, got "there"`,
		"--demo: expected true or false",
		"TENANTRY_DATABASE_URL: expected a URL such as postgres://",
		"TENANTRY_DRAIN_TIMEOUT: expected a time",
		"TENANTRY_MANAGED_EXTENSIONS: expected names",
		"TENANTRY_OPERATOR_KEY: expected printable ASCII",
		"TENANTRY_PLANS: expected each plan once, got free twice", "TENANTRY_PLANS: expected a plan such as free requests=10",
		`TENANTRY_PLANS: expected one of actions, calls, concurrent, connections, egress, project-egress, requests, sockets, timeout in the plan big, got "speed=3"`,
		`TENANTRY_PLANS: expected a number from 1 to 1000000 in the plan small, got "sockets=0"`,
		"TENANTRY_REDIS_URL: expected a URL such as redis://",
	}
	for _, want := range wants {
		if !slices.ContainsFunc(mistakes, func(m string) bool { return strings.HasPrefix(m, want) }) {
			t.Errorf("no mistake %q", want)
		}
	}
	if len(mistakes) != len(wants) {
		t.Errorf("%d mistakes, expected %d:\n%v", len(mistakes), len(wants), err)
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a secret is shown: %v", err)
	}
}

func TestSettingsAreCheckedAgainstEachOther(t *testing.T) {
	t.Parallel()
	const database = "TENANTRY_DATABASE_URL=postgres://a@b/c"
	for name, c := range map[string]struct {
		command config.Command
		args    []string
		environ []string
		want    string
	}{
		"serve without a database":       {config.Serve, []string{"--operator-key=k"}, nil, "--database-url (TENANTRY_DATABASE_URL): expected the URL"},
		"migrate without a database":     {config.Migrate, nil, nil, "--database-url (TENANTRY_DATABASE_URL): expected the URL"},
		"serve without an operator":      {config.Serve, nil, []string{database}, "--operator-key (TENANTRY_OPERATOR_KEY): expected a key"},
		"serve with the demo":            {config.Serve, []string{"--demo", "--operator-key=k"}, []string{database}, "--demo: only `tenantry dev`"},
		"dev with a database":            {config.Dev, nil, []string{database}, "TENANTRY_DATABASE_URL: dev starts a Postgres of its own"},
		"dev with a cluster":             {config.Dev, []string{"--managed-url=postgres://a@b/c"}, nil, "--managed-url: dev makes managed databases on its own"},
		"two listeners on one address":   {config.Dev, []string{"--listen=:9", "--operator-listen=:9"}, nil, "--operator-listen: expected another address"},
		"a certificate without a key":    {config.Dev, []string{"--tls-cert=x.pem"}, nil, "--tls-key (TENANTRY_TLS_KEY): expected the private key"},
		"a key without a certificate":    {config.Dev, []string{"--tls-key=x.pem"}, nil, "--tls-cert (TENANTRY_TLS_CERT): expected the certificate"},
		"a certificate that isn't there": {config.Dev, []string{"--tls-cert=/nowhere/x", "--tls-key=/nowhere/y"}, nil, "--tls-cert: expected a certificate and its key in PEM: cannot read /nowhere/x"},
		"a file that isn't there":        {config.Dev, []string{"--config=/nowhere/x.yaml"}, nil, "--config: cannot read /nowhere/x.yaml"},
		"an unknown way of signing up":   {config.Dev, []string{"--signup=closed"}, nil, `--signup: expected open or operator, got "closed"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(c.command, sources(t, c.args, c.environ...))
			var mistakes config.Mistakes
			if !errors.As(err, &mistakes) || len(mistakes) != 1 || !strings.HasPrefix(mistakes[0], c.want) {
				t.Errorf("expected the one mistake %q, got %v", c.want, err)
			}
		})
	}
}

func TestWithoutAHomeTheDataFolderMustBeGiven(t *testing.T) {
	t.Parallel()
	_, err := config.Load(config.Dev, config.Sources{})
	if err == nil || !strings.Contains(err.Error(), "TENANTRY_DATA_DIR") {
		t.Errorf("got %v", err)
	}
}

func TestPrintMasksSecretsAndNamesTheirOrigin(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := config.Print(&out, config.Serve, sources(t, []string{"--listen=:7"},
		"TENANTRY_DATABASE_URL=postgres://u:canary@h/d", "TENANTRY_OPERATOR_KEY=canary", "TENANTRY_MANAGED_URL=not-a-url-canary"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`listen: ":7" # --listen`, `database-url: "***" # TENANTRY_DATABASE_URL`, `log-level: "info" # default`} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("no line %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "canary") {
		t.Errorf("a secret is shown:\n%s", out.String())
	}
}

func TestWhatIsPrintedCanBeReadAsAFile(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := config.Print(&out, config.Dev, sources(t, []string{`--data-dir=/a "b"\c`, "--demo=false", "--egress-ports=1,2"})); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Dev, sources(t, []string{"--config", writeFile(t, "printed.yaml", out.String())}))
	if err != nil || c.DataDir != `/a "b"\c` || c.Demo || len(c.EgressPorts) != 2 {
		t.Errorf("got %+v, %v", c, err)
	}
}
