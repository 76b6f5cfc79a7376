//go:build examples

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tenantry/services/engine/codegen"
	"tenantry/services/engine/schema/sdl"
	"tenantry/tenants/metadata"
)

// The handlers of ops/examples, run for real: make examples.

// example says how one of them is built and started; {port} stands for its port.
type example struct {
	path  string // of its handler
	build []string
	start []string
}

var examples = map[string]example{
	"go":             {"/", []string{"go", "build", "-o", "handler", "."}, []string{"./handler"}},
	"express":        {"/recommend", []string{"npm", "run", "build"}, []string{"npm", "start"}},
	"next-app":       {"/api/recommend", []string{"npm", "run", "build"}, []string{"npm", "start", "--", "--port={port}", "--hostname=127.0.0.1"}},
	"next-pages":     {"/api/recommend", []string{"npm", "run", "build"}, []string{"npm", "start", "--", "--port={port}", "--hostname=127.0.0.1"}},
	"python-flask":   {"/recommend", nil, []string{"{python}", "-m", "flask", "run", "--port={port}"}},
	"python-fastapi": {"/recommend", nil, []string{"{python}", "-m", "uvicorn", "app:app", "--port={port}"}},
	"worker":         {"/", []string{"npm", "run", "build"}, []string{"npm", "start"}},
	"lambda":         {"/", []string{"npm", "run", "build"}, []string{"npm", "start"}},
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

func TestExamplesAnswerSignedCallsAndCallBack(t *testing.T) {
	dir := installed(t)
	interpreter := python(t)
	s := shared(t)
	for _, framework := range codegen.Names() {
		e, listed := examples[framework]
		if !listed {
			t.Errorf("ops/examples has no %s", framework)
			continue
		}
		t.Run(framework, func(t *testing.T) {
			p := newProject(t, s, managed)
			p.sql(`CREATE TABLE books (id int PRIMARY KEY, title text NOT NULL); INSERT INTO books VALUES (1, 'Solaris'), (2, 'The Dispossessed'), (3, 'The Cyberiad')`)
			p.control(200, "POST", "/tables:track", map[string]any{"tables": "all"})
			p.meta(200, "pg_create_select_permission", `{"table": "books", "role": "reader", "permission": {"columns": "*", "filter": {"id": {"_ne": 3}}}}`)
			port, secret := freePort(t), p.signingSecret()
			handler := "http://127.0.0.1:" + port + e.path
			p.recommends(handler)

			at := filepath.Join(dir, framework)
			if e.build != nil {
				command(t, at, []string{"NEXT_TELEMETRY_DISABLED=1"}, e.build[0], e.build[1:]...)
			}
			start := make([]string, len(e.start))
			for i, word := range e.start {
				start[i] = strings.NewReplacer("{port}", port, "{python}", interpreter).Replace(word)
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

// TestExamplesOfEveryTypeAreTypeScript lets the compiler look at contracts with
// every kind of type, as strictly as it can.
func TestExamplesOfEveryTypeAreTypeScript(t *testing.T) {
	dir := installed(t)
	contracts := filepath.Join("services", "engine", "codegen", "testdata")
	for action, text := range map[string]string{
		"place_order": readFile(t, contracts, "place_order.graphql"),
		"return":      readFile(t, contracts, "hostile.graphql"),
	} {
		for _, framework := range []string{"express", "next-app", "next-pages", "worker", "lambda"} {
			files, err := codegen.Generate(parsed(t, text, action), action, framework, codegen.Options{})
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
