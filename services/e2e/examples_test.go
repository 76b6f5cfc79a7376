//go:build examples

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tenantry/services/engine/codegen"
	"tenantry/services/engine/schema/sdl"
	"tenantry/tenants/metadata"
)

// The handlers of ops/examples, run for real: make examples.

// example says how one of them is built and started; {port} stands for its port,
// {bin} for the folder of programs from npm.
type example struct {
	folder string // and framework
	path   string // of its handler
	build  []string
	start  []string
}

var (
	npmBuild  = []string{"npm", "run", "build"}
	npmStart  = []string{"npm", "start"}
	nextStart = []string{"npm", "start", "--", "--port={port}", "--hostname=127.0.0.1"}
)

var examples = []example{
	{"go", "/", []string{"go", "build", "-o", "handler", "."}, []string{"./handler"}},
	{"express", "/recommend", npmBuild, npmStart},
	{"next-app", "/api/recommend", npmBuild, nextStart},
	{"next-pages", "/api/recommend", npmBuild, nextStart},
	{"python-flask", "/recommend", nil, []string{"{python}", "-m", "flask", "run", "--port={port}"}},
	{"python-fastapi", "/recommend", nil, []string{"{python}", "-m", "uvicorn", "app:app", "--port={port}"}},
	{"worker", "/", npmBuild, npmStart},
	{"worker", "/", nil, []string{"{bin}/deno", "serve", "--host=127.0.0.1", "--port={port}", "--allow-env", "--allow-net", "worker.ts"}},
	{"worker", "/", nil, []string{"{bin}/bun", "run", "worker.ts"}},
	{"lambda", "/", npmBuild, npmStart},
}

// installed is a copy of ops/examples with what npm installs.
func installed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := strings.Fields(command(t, filepath.Join(root(t), "ops", "examples"), nil, "git", "ls-files", "--cached", "--others", "--exclude-standard"))
	for _, name := range files {
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(readFile(t, "ops", "examples", name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "go", "go.mod"), []byte("module handler\n\ngo 1.24\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, dir, nil, "npm", "ci", "--prefer-offline")
	// Other runtimes of workers; nobody who tries an example needs them.
	runtimes := filepath.Join(dir, "runtimes")
	command(t, dir, nil, "npm", "install", "--prefix="+runtimes, "--no-package-lock", "--prefer-offline", "deno@2.9.6", "bun@1.4.5")
	command(t, runtimes, nil, "node", "node_modules/bun/install.js") // links the program that npm brought
	return dir
}

// python is an interpreter that has both frameworks.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import flask, fastapi, uvicorn").Run() == nil {
			return name
		}
	}
	t.Fatal("no python3 here has Flask, FastAPI and Uvicorn (Debian: python3-flask python3-fastapi python3-uvicorn)")
	return ""
}

// TestExamples runs one after the other: each takes the whole machine to build.
func TestExamples(t *testing.T) {
	dir := installed(t)
	t.Run("answer signed calls and call back", func(t *testing.T) { answerSignedCalls(t, dir) })
	t.Run("are TypeScript with every type", func(t *testing.T) { everyTypeIsTypeScript(t, dir) })
}

func answerSignedCalls(t *testing.T, dir string) {
	interpreter := python(t)
	s := shared(t)
	for _, framework := range codegen.Names() {
		if !slices.ContainsFunc(examples, func(e example) bool { return e.folder == framework }) {
			t.Errorf("ops/examples has no %s", framework)
		}
	}
	for _, e := range examples {
		t.Run(e.folder, func(t *testing.T) {
			p := newProject(t, s, managed)
			p.sql(`CREATE TABLE books (id int PRIMARY KEY, title text NOT NULL); INSERT INTO books VALUES (1, 'Solaris'), (2, 'The Dispossessed'), (3, 'The Cyberiad')`)
			p.control(200, "POST", "/tables:track", map[string]any{"tables": "all"})
			p.meta(200, "pg_create_select_permission", `{"table": "books", "role": "reader", "permission": {"columns": "*", "filter": {"id": {"_ne": 3}}}}`)
			port, secret := freePort(t), p.signingSecret()
			handler := "http://127.0.0.1:" + port + e.path
			p.recommends(handler)

			at := filepath.Join(dir, e.folder)
			if e.build != nil {
				command(t, at, []string{"NEXT_TELEMETRY_DISABLED=1"}, e.build[0], e.build[1:]...)
			}
			start := make([]string, len(e.start))
			for i, word := range e.start {
				start[i] = strings.NewReplacer("{port}", port, "{python}", interpreter, "{bin}", filepath.Join(dir, "runtimes", "node_modules", ".bin")).Replace(word)
			}
			environ := []string{"PORT=" + port, "TENANTRY_SIGNING_SECRET=" + secret, "TENANTRY_GRAPHQL_URL=" + p.url("/v1/graphql"), "NEXT_TELEMETRY_DISABLED=1"}
			process{dir: at, command: start, environ: environ, address: "127.0.0.1:" + port}.start(t)

			reader := p.as("reader")
			if a := data(t, p.url("/v1/graphql"), reader, `{ recommend(mood: "brave") { book_id book { title } } }`, nil); a.at("data", "recommend", "book", "title") != "The Dispossessed" {
				t.Errorf("the joined answer: %s", a.Text)
			}
			refusal{"unknown-mood", "=no book for this mood"}.check(t, p.ask(reader, `{ recommend(mood: "bored") { book_id } }`))
			refusal{"no-book", "=no book that you may read"}.check(t, p.ask(reader, `{ recommend(mood: "tired") { book_id } }`))
			refusesWhatIsNotSigned(t, handler, secret)
		})
	}
}

// parsed is the metadata of one action.
func parsed(t *testing.T, text, action string) *metadata.Document {
	t.Helper()
	read, err := sdl.ParseAction(text, action)
	if err != nil {
		t.Fatal(err)
	}
	return &metadata.Document{
		Actions:     []metadata.Action{{Name: action, Comment: read.Comment, Definition: read.Definition}},
		CustomTypes: &read.Types,
	}
}

// everyTypeIsTypeScript lets the compiler look at contracts with every kind of
// type, as strictly as it can, beside the examples.
func everyTypeIsTypeScript(t *testing.T, dir string) {
	contracts := filepath.Join("services", "engine", "codegen", "testdata")
	for _, c := range []struct {
		action, file string
		frameworks   []string
	}{
		{"place_order", "place_order.graphql", []string{"express", "next-app", "next-pages", "worker", "lambda"}},
		{"return", "hostile.graphql", []string{"next-pages", "worker"}},
	} {
		doc := parsed(t, readFile(t, contracts, c.file), c.action)
		for _, framework := range c.frameworks {
			files, err := codegen.Generate(doc, c.action, framework, codegen.Options{})
			if err != nil {
				t.Fatal(err)
			}
			at := filepath.Join(dir, framework)
			for _, f := range files {
				if strings.HasSuffix(f.Name, ".json") {
					continue
				}
				to := filepath.Join(at, filepath.FromSlash(f.Name))
				if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(to, []byte(f.Content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			command(t, at, nil, filepath.Join(dir, "node_modules", ".bin", "tsc"), "--noEmit", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--noImplicitReturns")
		}
	}
}
