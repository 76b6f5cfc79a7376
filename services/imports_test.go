// Package services_test holds the house plan as tests: who may import whom,
// where third-party libraries stay, what lies at the top of the repository.
package services_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "tenantry"

// rooms from left to right: a folder may import those to its right, and itself.
var rooms = []struct{ name, answers string }{
	{"services", "the programs; they may use everything"},
	{"policy", "may this go on? It must not know the programs that ask, so that all of them ask alike"},
	{"tenants", "what is a tenant and where is it kept? What may happen is for policy to say, not for the store"},
	{"ops", "what does the operator see and run? It serves every room, so it can know none of them"},
	{"api", "what is on the wire? No behaviour; clients could compile against it alone"},
}

func TestFoldersImportOnlyThoseToTheirRight(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		from := room(p.ImportPath)
		for _, imported := range p.all() {
			if to := room(imported); to >= 0 && to < from {
				t.Errorf("%s imports %s. The rule is services → policy → tenants → ops → api.\n%s/ answers: %s.",
					p.ImportPath, imported, rooms[from].name, rooms[from].answers)
			}
		}
	}
}

// room is the position of a package of ours in rooms; -1 for other packages.
func room(importPath string) int {
	inside, ours := strings.CutPrefix(importPath, module+"/")
	if !ours {
		return -1
	}
	top, _, _ := strings.Cut(inside, "/")
	return slices.IndexFunc(rooms, func(r struct{ name, answers string }) bool { return r.name == top })
}

// importers says who may import the packages below services, tests aside. What
// is missing here has no importer but the program's wiring.
var importers = map[string]struct {
	by  []string
	why string
}{
	"services/engine/plan":        {[]string{"services/engine/planner", "services/engine/dialect", "services/engine/executor", "services/engine/instance", "services/engine/jsonquery"}, "plans are data between the planners and what runs them; the instance asks policy about their root fields"},
	"services/engine/schema":      {[]string{"services/engine/operation", "services/engine/planner", "services/engine/instance", "services/engine/impact", "services/engine/accessview"}, "generated types live in one place; operations are validated against them and planned by them, dry runs compare them"},
	"services/engine/schema/sdl":  {[]string{"services/control", "services/revision", "services/engine/metadataapi"}, "actions as text are a matter of configuration, not of requests"},
	"services/engine/codegen":     {[]string{"services/control"}, "code of handlers is written for people who ask for it, never for a request"},
	"services/engine/derive":      {[]string{"services/control"}, "an operation becomes an action for people who ask for it"},
	"services/engine/openapi":     {[]string{"services/control"}, "OpenAPI documents become actions, and actions documents, for people who ask for it"},
	"services/engine/operation":   {[]string{"services/engine/planner", "services/engine/instance", "services/engine/rest", "services/engine/impact", "services/engine/accessview", "services/control", "services/engine/metadataapi"}, "whoever reads the text of an operation: to plan it, or to check it when it is saved in a collection"},
	"services/engine/planner":     {[]string{"services/engine/instance"}, "plans are made in one place, under one cache"},
	"services/engine/jsonquery":   {[]string{"services/engine/instance", "services/engine/metadataapi"}, "commands on data are planned and run where operations are"},
	"services/engine/dialect":     {[]string{"services/engine/executor"}, "the only writer of SQL has one reader"},
	"services/engine/rowjson":     {[]string{"services/engine/dialect", "services/engine/source"}, "the dialect says how a column becomes JSON, the source writes it"},
	"services/engine/source":      {[]string{"services/engine/introspect", "services/engine/executor", "services/engine/instance", "services/engine/metadataapi", "services/live", "services/revision"}, "statements run in the executor; live owns the pools, the instance hands them over; revision probes databases, and metadata commands run the SQL of admins"},
	"services/engine/introspect":  {[]string{"services/revision"}, "the catalog is read when a project changes, never while it serves"},
	"services/engine/impact":      {[]string{"services/revision", "services/engine/metadataapi", "services/control"}, "a dry run tells what a change means; the edges show it"},
	"services/engine/accessview":  {[]string{"services/revision", "services/control"}, "who may reach what is told of the project as it serves; the edge shows it"},
	"services/engine/action":      {[]string{"services/engine/executor", "services/engine/instance", "services/worker"}, "a webhook is called by a step of a plan; the instance configures the caller, the worker judges what came of a run"},
	"services/engine/deadline":    {[]string{"services/engine/instance", "services/engine/action"}, "requests have a time limit and calls of handlers a timeout"},
	"services/engine/template":    {[]string{"services/engine/transform"}, "templates are written in transforms alone; where they may stand and what they read is said there"},
	"services/engine/transform":   {[]string{"services/engine/action", "services/engine/instance", "services/engine/metadataapi"}, "a call is transformed before it is signed; the instance leaves out actions whose transforms do not compile, and a command tries transforms out"},
	"services/engine/executor":    {[]string{"services/engine/instance"}, "the request path is on one screen"},
	"services/engine/instance":    {[]string{"services/live", "services/revision", "services/router", "services/engine/metadataapi", "services/engine/accessview", "services/control"}, "live keeps instances, revision judges a change by building one, the router sends requests to it, what is told of access is asked of it, and the edge shows the results of permission tests"},
	"services/engine/rest":        {[]string{"services/engine/instance", "services/engine/metadataapi", "services/router"}, "an instance has its endpoints, the edge hands them what a request brings, and commands tell of endpoints that clash"},
	"services/engine/metadataapi": {[]string{"services/router"}, "the metadata commands have one edge"},
	"services/live":               {[]string{"services/router", "services/revision", "services/engine/metadataapi", "services/worker", "services/control"}, "a project is loaded once for all that serve it, and swapped by the one way to change it"},
	"services/livequery":          {[]string{"services/router"}, "subscriptions are followed for the sockets of the edge; what is read and how it is sent it is told"},
	"services/revision":           {[]string{"services/control", "services/engine/metadataapi", "services/router"}, "there is one way to change a project"},
	"services/router":             {nil, "the edge is wired by the program"},
	"services/router/socket":      {[]string{"services/router"}, "the protocols of sockets know neither the HTTP server nor the engine: the router puts the three together"},
	"services/control":            {nil, "the edge is wired by the program"},
	"services/worker":             {nil, "the worker is wired by the program"},
}

// wiring may import all of services: it is where the program is put together.
const wiring = "services/tenantry"

func TestTheEngineKeepsItsOrder(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		own := strings.TrimPrefix(p.ImportPath, module+"/")
		if _, listed := importers[own]; !listed && strings.HasPrefix(own, "services/") && !within(own, wiring) && len(p.GoFiles) > 0 {
			t.Errorf("%s is new: say in this test who may import it, and why", own)
		}
		for _, imported := range p.Imports {
			name, ours := strings.CutPrefix(imported, module+"/")
			rule, ruled := importers[name]
			if !ours || !ruled || within(own, wiring) || slices.Contains(rule.by, own) {
				continue
			}
			t.Errorf("%s imports %s, which is for %v alone: %s", own, name, rule.by, rule.why)
		}
	}
}

func TestTheSecondOpinionOnPermissionsIsIndependent(t *testing.T) {
	t.Parallel()
	const tests = "services/engine/permissiontest"
	found := false
	for _, p := range packages(t) {
		if strings.TrimPrefix(p.ImportPath, module+"/") != tests {
			continue
		}
		found = true
		for _, name := range []string{"policy/filter", "policy/access", "services/engine/plan", "services/engine/planner", "services/engine/dialect"} {
			if slices.Contains(p.all(), module+"/"+name) {
				t.Errorf("%s imports %s: what judges the engine has to read the raw metadata itself", tests, name)
			}
		}
	}
	if !found {
		t.Errorf("%s is gone: nothing compares the engine's permissions with a second opinion", tests)
	}
}

func TestBenchmarksAndExamplesSpeakHTTP(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		own := strings.TrimPrefix(p.ImportPath, module+"/")
		if !within(own, "ops/bench") && !within(own, "ops/examples") {
			continue
		}
		for _, imported := range p.all() {
			if strings.HasPrefix(imported, module+"/services") {
				t.Errorf("%s imports %s: it has to use the built program as its users do, over HTTP", own, imported)
			}
		}
	}
}

// libraries says which rooms may import a module, and why it stays there.
// Everything that go.mod requires directly is listed.
var libraries = map[string]struct {
	rooms []string
	tests []string // may import it in their tests
	why   string
}{
	"code.dny.dev/ssrf":                                        {[]string{"policy/egress", "ops/bench/floor"}, nil, "one guard for every address that a tenant names; the floor of the benchmark pays for the same guard"},
	"github.com/MicahParks/keyfunc/v3":                         {[]string{"policy/authn"}, nil, "key sets are fetched where tokens are checked"},
	"github.com/golang-jwt/jwt/v5":                             {[]string{"policy/authn"}, []string{"services", "policy"}, "tokens are checked in one place; tests make them"},
	"github.com/danielgtaylor/huma/v2":                         {[]string{"services/control"}, nil, "only the control API is described by OpenAPI"},
	"github.com/getkin/kin-openapi":                            {nil, []string{"services/engine/openapi", "services/control"}, "tests hold our documents against it; the program would pay for its checks of JSON Schema with each start"},
	"go.yaml.in/yaml/v3":                                       {[]string{"services/engine/openapi"}, nil, "YAML of others is read in one place, with limits; configuration has its own reader"},
	"github.com/gofiber/fiber/v2":                              {[]string{"services/control", "services/router", "services/tenantry", "ops/bench/floor"}, nil, "buffers of the HTTP server are reused: nothing behind the edges may hold them; the floor of the benchmark is written with the same libraries"},
	"github.com/gofiber/contrib/websocket":                     {[]string{"services/router"}, nil, "connections are upgraded at the edge of the data plane; the protocols behind it know no library"},
	"github.com/fasthttp/websocket":                            {nil, []string{"services/router", "services/e2e"}, "tests are the clients of our sockets"},
	"github.com/fergusstrange/embedded-postgres":               {[]string{"ops/postgres"}, nil, "fetches a Postgres where none is installed"},
	"github.com/jackc/pgx/v5":                                  {[]string{"services/engine/source", "services/engine/introspect", "tenants/store", "ops/postgres", "ops/bench", "services/worker", "services/tenantry/demo", "ops/examples/cqrs"}, []string{"services", "tenants", "ops"}, "SQL is sent in few places; the handlers of the demo and of an example, and the floor of the benchmark, are programs of their own; tests look into the database"},
	"github.com/gertd/go-pluralize":                            {[]string{"tenants/model"}, nil, "names are suggested where relationships are"},
	"github.com/google/uuid":                                   {[]string{"services", "policy", "tenants", "ops"}, nil, "identifiers are made everywhere; the api folder has types only"},
	"github.com/knadh/koanf":                                   {[]string{"services/tenantry/config"}, nil, "configuration is read once and is plain data afterwards"},
	"github.com/spf13/pflag":                                   {[]string{"services/tenantry"}, nil, "flags are part of the configuration"},
	"github.com/spf13/cobra":                                   {[]string{"services/tenantry"}, nil, "commands are the program's"},
	"github.com/maypok86/otter/v2":                             {[]string{"services/engine/instance", "services/live"}, nil, "caches bounded by bytes belong to an instance or to the registry of instances"},
	"github.com/open-policy-agent/opa":                         {[]string{"policy/authz"}, []string{"services/engine/policytest"}, "Rego is asked in one place, with limits; a test asks it for a second opinion"},
	"github.com/pressly/goose/v3":                              {[]string{"tenants/store"}, nil, "only the control plane's database is migrated"},
	"github.com/prometheus/client_golang":                      {[]string{"ops/metrics", "services/tenantry"}, []string{"services"}, "names and labels are bounded in one place; the program makes the registry"},
	"github.com/prometheus/common":                             {[]string{"ops/metrics"}, []string{"services"}, "the text format of the metrics"},
	"github.com/standard-webhooks/standard-webhooks/libraries": {nil, []string{"services", "api"}, "the reference that our signatures are tested against"},
	"github.com/tink-crypto/tink-go/v2":                        {[]string{"tenants/vault"}, nil, "secrets are sealed in one place"},
	"github.com/valyala/fasthttp":                              {[]string{"ops/bench/floor"}, nil, "the handler of the benchmark's action must cost next to nothing; elsewhere fiber hides it"},
	"github.com/vektah/gqlparser/v2":                           {[]string{"services/engine/operation", "services/engine/schema", "services/engine/planner", "services/engine/derive"}, []string{"services"}, "GraphQL documents end where plans begin, or where an action is made of one"},
	"github.com/redis/go-redis/v9":                             {[]string{"policy/limits"}, nil, "limits are all that nodes share outside of Postgres"},
	"golang.org/x/net":                                         {[]string{"ops/rawconn"}, nil, "the tests of what a connection must do"},
	"golang.org/x/sync":                                        {[]string{"services", "policy", "tenants", "ops"}, nil, "the standard library's annex"},
	"golang.org/x/time":                                        {[]string{"services", "policy", "tenants", "ops"}, nil, "the standard library's annex"},
}

func TestLibrariesStayInTheirRooms(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		own := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, imported := range p.Imports {
			checkLibrary(t, own, imported, false)
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			checkLibrary(t, own, imported, true)
		}
	}
}

func checkLibrary(t *testing.T, own, imported string, test bool) {
	t.Helper()
	host, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(host, ".") {
		return // the standard library, or ours
	}
	name := libraryOf(imported)
	if name == "" {
		t.Errorf("%s imports %s, which is not in the table of libraries: say which rooms may use it, and why", own, imported)
		return
	}
	rule := libraries[name]
	allowed := rule.rooms
	if test {
		allowed = slices.Concat(rule.rooms, rule.tests)
	}
	if !slices.ContainsFunc(allowed, func(room string) bool { return within(own, room) }) {
		t.Errorf("%s imports %s, which is for %v alone: %s", own, name, allowed, rule.why)
	}
}

func libraryOf(importPath string) string {
	for name := range libraries {
		if within(importPath, name) {
			return name
		}
	}
	return ""
}

func TestEveryDirectRequirementHasARoom(t *testing.T) {
	t.Parallel()
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(run(t, "go", "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, r := range mod.Require {
		name := libraryOf(r.Path)
		used[name] = true
		if name == "" && !r.Indirect {
			t.Errorf("go.mod requires %s, which is not in the table of libraries: say which rooms may use it, and why", r.Path)
		}
	}
	for name := range libraries {
		if !used[name] {
			t.Errorf("go.mod does not require %s any more: take it out of the table", name)
		}
	}
}

// topLevel is what the repository begins with; hidden files aside.
var topLevel = []string{"services", "tenants", "policy", "api", "ops", "go.mod", "go.sum", "Makefile", "docker-compose.yml", "README.md", "LICENSE"}

func TestTheTopLevelIsFixed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, file := range files(t) {
		top, _, _ := strings.Cut(file, "/")
		if !seen[top] && !strings.HasPrefix(top, ".") && !slices.Contains(topLevel, top) {
			t.Errorf("%s lies at the top of the repository. What is new belongs into a room; the top is %v", top, topLevel)
		}
		seen[top] = true
	}
}

// vague names say nothing about what is inside, so everything ends up there.
var vague = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "lib"}

func TestNamesSayWhatIsInside(t *testing.T) {
	t.Parallel()
	for _, file := range files(t) {
		for part := range strings.SplitSeq(file, "/") {
			name := strings.TrimSuffix(strings.TrimSuffix(part, ".go"), "_test")
			if slices.Contains(vague, strings.ToLower(name)) {
				t.Errorf("%s: %q says nothing about what is inside", file, part)
			}
		}
	}
}

// goPackage is what the go command says of a package.
type goPackage struct {
	ImportPath, Dir                    string
	GoFiles                            []string
	Imports, TestImports, XTestImports []string
}

func (p goPackage) all() []string { return slices.Concat(p.Imports, p.TestImports, p.XTestImports) }

// packages are those of the repository; ignored folders are nobody's.
func packages(t *testing.T) []goPackage {
	t.Helper()
	kept := map[string]bool{}
	for _, file := range files(t) {
		kept[path.Dir(file)] = true
	}
	root := strings.TrimSpace(string(run(t, "git", "rev-parse", "--show-toplevel")))
	d := json.NewDecoder(bytes.NewReader(run(t, "go", "list", "-e", "-json=ImportPath,Dir,GoFiles,Imports,TestImports,XTestImports", "./...")))
	var out []goPackage
	for {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if dir, err := filepath.Rel(root, p.Dir); err == nil && kept[filepath.ToSlash(dir)] {
			out = append(out, p)
		}
	}
	if len(out) < 20 {
		t.Fatalf("found only %d packages: this test looks at the wrong place", len(out))
	}
	return out
}

// files are what a commit would hold.
func files(t *testing.T) []string {
	t.Helper()
	return strings.Split(strings.TrimSuffix(string(run(t, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")), "\x00"), "\x00")
}

// run runs a command at the top of the repository.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = ".."
	out, err := c.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%s %v: %v\n%s", name, args, err, exit.Stderr)
		}
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return out
}

func within(name, folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }
