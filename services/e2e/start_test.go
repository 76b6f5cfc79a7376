package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tenantry/ops/postgres/pgtest"
)

// pasted takes the curl commands out of a banner.
func pasted(banner string) []string {
	var commands []string
	var current []string
	for line := range strings.Lines(banner) {
		text := strings.TrimSpace(line)
		if len(current) == 0 && !strings.HasPrefix(text, "curl ") {
			continue
		}
		current = append(current, text)
		if !strings.HasSuffix(text, `\`) {
			commands = append(commands, strings.Join(current, "\n"))
			current = nil
		}
	}
	return commands
}

// bannerCommands are the commands of the banner, which comes when all is ready.
func bannerCommands(t *testing.T, s *server, want int) (commands []string) {
	t.Helper()
	within(t, 10*time.Second, "the banner is there", func() bool {
		commands = pasted(s.stdout.String())
		return len(commands) > 0
	})
	if len(commands) != want {
		t.Fatalf("%d commands in\n%s", len(commands), s.stdout)
	}
	return commands
}

func TestTheFirstMinute(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := startDev(t, dir)

	commands := bannerCommands(t, s, 3)
	var answers []answer
	for _, command := range commands {
		out, err := exec.Command("bash", "-c", command).CombinedOutput()
		a := answer{Text: string(out)}
		if err != nil || json.Unmarshal(out, &a.JSON) != nil || a.at("errors") != nil {
			t.Fatalf("%s\nanswered %s, %v", command, out, err)
		}
		answers = append(answers, a)
	}
	if products, _ := answers[0].at("data", "products").([]any); len(products) != 3 || answers[0].at("data", "products", 0, "reviews", 0, "rating") == nil {
		t.Errorf("products: %s", answers[0].Text)
	}
	order := answers[1].at("data", "placeOrder", "order_id")
	if order == nil || answers[1].at("data", "placeOrder", "order", "order_items", 0, "product", "name") == nil {
		t.Errorf("the order: %s", answers[1].Text)
	}
	if items, _ := answers[2].at("items").([]any); len(items) == 0 {
		t.Errorf("the audit: %s", answers[2].Text)
	}
	for _, secret := range append(s.Demo.secrets(), s.OperatorKey) {
		if !strings.Contains(s.stdout.String(), secret) && secret != s.Demo.Project.JWTKey && secret != s.Demo.Project.SigningSecret {
			t.Errorf("a key is not shown on stdout:\n%s", s.stdout)
		}
		if secret == "" || strings.Contains(s.stderr.String(), secret) {
			t.Errorf("a key is in the log, or empty")
		}
	}
	for _, file := range []string{"demo.json", "operator.key", "keyring.json"} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	s.stop(t)

	again := startDev(t, dir)
	if again.Demo.Project != withURL(s.Demo.Project, again.PublicURL) || again.Demo.Tenant != s.Demo.Tenant || again.OperatorKey != s.OperatorKey {
		t.Errorf("the second start has other keys")
	}
	customer := bearer(again.Demo.Tokens.Customer)
	found := data(t, again.Demo.Project.GraphQLURL, customer, `query($id: Int!) { orders_by_pk(id: $id) { note } }`, map[string]any{"id": order})
	if found.at("data", "orders_by_pk", "note") != "Hello" {
		t.Errorf("the order after the second start: %s", found.Text)
	}
	// The handler has another port now.
	placed := data(t, again.Demo.Project.GraphQLURL, customer, `mutation { placeOrder(items: [{product_id: 8, quantity: 1}]) { order { customer_id } } }`, nil)
	if placed.at("data", "placeOrder", "order", "customer_id") != 1.0 {
		t.Errorf("an order after the second start: %s", placed.Text)
	}
	again.stop(t)
}

// withURL is a project as another run shows it.
func withURL(p demoProject, public string) demoProject {
	p.URL = public + "/p/shop"
	p.GraphQLURL = p.URL + "/v1/graphql"
	return p
}

func TestTheDemoRefusesWhatTheShopRefuses(t *testing.T) {
	t.Parallel()
	s := shared(t)
	customer := bearer(s.Demo.Tokens.Customer)
	a := graphql(t, s.Demo.Project.GraphQLURL, customer, `mutation { placeOrder(items: [{product_id: 25, quantity: 1}]) { order_id } }`, nil)
	if a.at("errors", 0, "extensions", "code") != "out-of-stock" {
		t.Errorf("out of stock: %s", a.Text)
	}
	a = graphql(t, s.Demo.Project.GraphQLURL, bearer(s.Demo.Tokens.Manager), `mutation { placeOrder(items: [{product_id: 1, quantity: 1}]) { order_id } }`, nil)
	if a.at("errors", 0, "extensions", "code") != "validation-failed" {
		t.Errorf("an action of another role: %s", a.Text)
	}
	a = data(t, s.Demo.Project.GraphQLURL, customer, `{ orders(limit: 50) { customer_id } customers { id } }`, nil)
	orders, _ := a.at("data", "orders").([]any)
	for i := range orders {
		if a.at("data", "orders", i, "customer_id") != 1.0 {
			t.Errorf("an order of someone else: %s", a.Text)
		}
	}
	if customers, _ := a.at("data", "customers").([]any); len(orders) == 0 || len(customers) != 1 {
		t.Errorf("own orders and self: %s", a.Text)
	}
	a = data(t, s.Demo.Project.GraphQLURL, bearer(s.Demo.Tokens.Manager), `{ customers(limit: 5) { id } }`, nil)
	if customers, _ := a.at("data", "customers").([]any); len(customers) != 5 {
		t.Errorf("customers as manager: %s", a.Text)
	}
}

func TestAStartThatLostItsKeysOrWasInterruptedIsRepaired(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := startDev(t, dir)
	s.stop(t)
	file := filepath.Join(dir, "demo.json")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func() error{
		"not marked complete": func() error {
			return os.WriteFile(file, []byte(strings.Replace(string(whole), `"complete": true`, `"complete": false`, 1)), 0o600)
		},
		"demo.json is gone": func() error { return os.Remove(file) },
	} {
		if err := damage(); err != nil {
			t.Fatal(name, err)
		}
		s, err := launchDev(dir)
		if err != nil {
			t.Fatal(name, err)
		}
		if !s.Demo.Complete {
			t.Errorf("%s: not complete", name)
		}
		a := data(t, s.Demo.Project.GraphQLURL, bearer(s.Demo.Tokens.Customer), `mutation { placeOrder(items: [{product_id: 9, quantity: 1}]) { order { id } } }`, nil)
		if a.at("data", "placeOrder", "order", "id") == nil {
			t.Errorf("%s: %s", name, a.Text)
		}
		must(t, 200, http.MethodGet, s.PublicURL+"/api/v1/projects/shop", bearer(s.Demo.Tenant.Key), nil)
		s.stop(t)
	}
}

func TestAfterAKillTheNextStartFindsEverything(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := startDev(t, dir)
	customer := bearer(s.Demo.Tokens.Customer)
	a := data(t, s.Demo.Project.GraphQLURL, customer, `mutation { placeOrder(items: [{product_id: 10, quantity: 1}], note: "before") { order_id } }`, nil)
	order := a.at("data", "placeOrder", "order_id")
	s.kill(t)

	again := startDev(t, dir)
	a = data(t, again.Demo.Project.GraphQLURL, bearer(again.Demo.Tokens.Customer), `query($id: Int!) { orders_by_pk(id: $id) { note } }`, map[string]any{"id": order})
	if a.at("data", "orders_by_pk", "note") != "before" {
		t.Errorf("after the kill: %s", a.Text)
	}
	again.stop(t)
}

func TestAHandlerThatDiesIsStartedAgain(t *testing.T) {
	t.Parallel()
	s := startDev(t, dataDir(t))
	pid := regexp.MustCompile(`the demo's handler runs.*"pid":(\d+)`).FindStringSubmatch(s.stderr.String())
	if pid == nil {
		t.Fatalf("the log names no handler:\n%s", s.stderr)
	}
	id, err := strconv.Atoi(pid[1])
	if err == nil {
		err = syscall.Kill(id, syscall.SIGKILL)
	}
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		a := graphql(t, s.Demo.Project.GraphQLURL, bearer(s.Demo.Tokens.Customer), `mutation { placeOrder(items: [{product_id: 11, quantity: 1}]) { order_id } }`, nil)
		if a.at("data", "placeOrder", "order_id") != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no order after the handler's end: %s\n%s", a.Text, s.stderr)
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.stop(t)
}

func TestWithoutTheDemoThereIsNoTenant(t *testing.T) {
	t.Parallel()
	s := startDev(t, dataDir(t), "--demo=false")
	a := must(t, 200, http.MethodGet, s.PublicURL+"/api/v1/tenants", bearer(s.OperatorKey), nil)
	if items, _ := a.at("items").([]any); len(items) != 0 {
		t.Errorf("tenants: %s", a.Text)
	}
	commands := bannerCommands(t, s, 1)
	if out, err := exec.Command("bash", "-c", commands[0]).CombinedOutput(); err != nil || !strings.Contains(string(out), `"secret"`) {
		t.Errorf("%s\nanswered %s, %v", commands[0], out, err)
	}
}

func TestWhatIsTheOperatorsIsNotOnThePublicListener(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/healthz/live", "/healthz/ready"} {
		if a := send(t, http.MethodGet, s.PublicURL+path, nil, nil); a.Status != http.StatusNotFound {
			t.Errorf("%s on the public listener: %d", path, a.Status)
		}
		if a := send(t, http.MethodGet, s.OperatorURL+path, nil, nil); a.Status != http.StatusOK {
			t.Errorf("%s on the operator listener: %d", path, a.Status)
		}
	}
}

func TestServeRunsAgainstAGivenPostgres(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	const key = "operator-key-of-the-test"
	environ := []string{"TENANTRY_DATABASE_URL=" + database, "TENANTRY_OPERATOR_KEY=" + key, "TENANTRY_DATA_DIR=" + dataDir(t)}
	migrate := exec.Command(binary, "migrate")
	migrate.Env = environment(environ...)
	if out, err := migrate.CombinedOutput(); err != nil {
		t.Fatalf("migrate: %v\n%s", err, out)
	}
	s, err := launch([]string{"serve"}, environ...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = s.end(9) })
	signup := map[string]any{"name": "Acme", "email": "a@example.com"}
	if a := send(t, http.MethodPost, s.PublicURL+"/api/v1/tenants", nil, signup); a.Status != http.StatusUnauthorized {
		t.Errorf("sign-up by anyone: %d %s", a.Status, a.Text)
	}
	a := must(t, 201, http.MethodPost, s.PublicURL+"/api/v1/tenants", bearer(key), signup)
	owner := bearer(fmt.Sprint(a.at("key", "secret")))
	projects := fmt.Sprintf("%s/api/v1/tenants/%s/projects", s.PublicURL, a.at("tenant", "id"))
	a = send(t, http.MethodPost, projects, owner, map[string]any{"name": "p", "database": map[string]any{"managed": true}})
	if a.Status != http.StatusUnprocessableEntity {
		t.Errorf("a managed database without a cluster: %d %s", a.Status, a.Text)
	}
	if s.stdout.String() != "" {
		t.Errorf("serve writes to stdout:\n%s", s.stdout)
	}
	if strings.Contains(s.stderr.String(), key) {
		t.Error("the operator key is in the log")
	}
	s.stop(t)
}

func TestWhatIsWrongAtTheStartIsOneSentenceAndAnExitCode(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	busy := shared(t)
	other := dataDir(t)
	if err := os.Chmod(other, 0o711); err != nil { // it is not empty, so it is left as it is
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(other, "postgres"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"postgres/PG_VERSION": "9.6\n", "postgres.password": "secret"} {
		if err := os.WriteFile(filepath.Join(other, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	free := []string{"--listen=127.0.0.1:0", "--operator-listen=127.0.0.1:0"}
	for name, c := range map[string]struct {
		args    []string
		environ []string
		code    int
		part    string
	}{
		"a public port taken":      {[]string{"dev", "--data-dir=" + dataDir(t), "--listen=" + taken.Addr().String()}, nil, 1, "another program has this port"},
		"an operator port taken":   {[]string{"dev", "--data-dir=" + dataDir(t), "--listen=127.0.0.1:0", "--operator-listen=" + taken.Addr().String()}, nil, 1, "--operator-listen"},
		"a data folder in use":     {append(free, "dev", "--data-dir="+busy.DataDir), nil, 1, "in use by another tenantry"},
		"another Postgres version": {append(free, "dev", "--data-dir="+other), nil, 1, "9.6"},
		"a folder that is a file":  {append(free, "dev", "--data-dir=/dev/null"), nil, 1, "/dev/null"},
		"no database":              {append(free, "serve", "--operator-key=k", "--data-dir="+dataDir(t), "--database-url=postgres://u:canary@127.0.0.1:1/d"), nil, 1, "database can't be reached"},
		"bad configuration":        {[]string{"dev", "--listen=nowhere"}, []string{"TENANTRY_SIGNUP=x", "TENANTRY_NOPE=1"}, 2, "3 mistakes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			command := exec.Command(binary, c.args...)
			command.Env = environment(c.environ...)
			var stderr output
			command.Stderr = &stderr
			timer := time.AfterFunc(time.Minute, func() { _ = command.Process.Kill() })
			defer timer.Stop()
			err := command.Run()
			if err == nil || command.ProcessState.ExitCode() != c.code {
				t.Fatalf("ended with %v, expected exit code %d:\n%s", err, c.code, &stderr)
			}
			lines := strings.Split(strings.TrimSpace(stderr.String()), "\ntenantry: ")
			sentence := lines[len(lines)-1]
			if !strings.Contains(sentence, c.part) || strings.Contains(stderr.String(), "canary") {
				t.Errorf("expected %q in\n%s", c.part, &stderr)
			}
			if c.code == 1 && strings.Contains(sentence, "\n") {
				t.Errorf("more than one sentence:\n%s", sentence)
			}
		})
	}
}
