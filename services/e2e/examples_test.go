//go:build examples

package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tenantry/services/engine/codegen"
	"tenantry/services/engine/schema/sdl"
	"tenantry/tenants/metadata"
)

// The handlers of ops/examples, run for real: make examples.

// example says how one of them is built and started; {port} stands for its port,
// {bin} for the folder of programs from npm, {class} for what a Java class is of.
type example struct {
	name   string
	folder string // and framework
	path   string // of its handler, {action} in it
	build  []string
	start  []string
}

var (
	npmBuild  = []string{"npm", "run", "build"}
	npmStart  = []string{"npm", "start"}
	nextStart = []string{"npm", "start", "--", "--port={port}", "--hostname=127.0.0.1"}
	javaBuild = []string{"sh", "-c", "mkdir -p classes && javac @classpath -encoding UTF-8 -d classes src/main/java/tenantry/*.java Serve.java"}
	javaStart = []string{"java", "@classpath", "Serve", "tenantry.{class}Controller"}
)

var examples = []example{
	{"go", "go", "/", []string{"go", "build", "-o", "handler", "."}, []string{"./handler"}},
	{"express", "express", "/{action}", npmBuild, npmStart},
	// A project may have both routers, and is built once: the other's page is in it.
	{"next", "next-app", "/api/{action}", npmBuild, nextStart},
	{"python-flask", "python-flask", "/{action}", nil, []string{"{python}", "-m", "flask", "run", "--port={port}"}},
	{"python-fastapi", "python-fastapi", "/{action}", nil, []string{"{python}", "-m", "uvicorn", "app:app", "--port={port}"}},
	{"java-spring", "java-spring", "/{action}", javaBuild, javaStart},
	{"worker", "worker", "/", npmBuild, npmStart},
	{"deno", "worker", "/", nil, []string{"{bin}/deno", "serve", "--host=127.0.0.1", "--port={port}", "--allow-env", "--allow-net", "worker.ts"}},
	{"bun", "worker", "/", nil, []string{"{bin}/bun", "run", "worker.ts"}},
	{"lambda", "lambda", "/", npmBuild, npmStart},
}

// otherPage is the handler of the pages router in the project of the app router.
const otherPage = "recommended"

// workshop is where examples are built and run.
type workshop struct {
	dir    string // a copy of ops/examples, below what npm has installed
	bin    string // programs from npm
	python string
	java   bool // there is a JDK
}

// open makes a workshop. What npm installs is kept in the user's cache.
func open(t *testing.T) workshop {
	t.Helper()
	modules := installed(t)
	dir, err := os.MkdirTemp(modules, "run-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	files := strings.Fields(command(t, filepath.Join(root(t), "ops", "examples"), nil, "git", "ls-files", "--cached", "--others", "--exclude-standard"))
	for _, name := range files {
		write(t, filepath.Join(dir, name), readFile(t, "ops", "examples", name))
	}
	write(t, filepath.Join(dir, "go", "go.mod"), "module handler\n\ngo 1.24\n")
	write(t, filepath.Join(dir, "next-app", "pages", "api", otherPage+".ts"), readFile(t, "ops", "examples", "next-pages", "pages", "api", "recommend.ts"))
	return workshop{dir: dir, bin: filepath.Join(modules, "node_modules", ".bin"), python: python(t), java: java(t)}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// runtimes of workers beside those that the examples name.
var runtimes = []string{"deno@2.9.6", "bun@1.4.5"}

// installed is a folder with all that the examples take from npm. It is made once
// for each package-lock.json.
func installed(t *testing.T) string {
	t.Helper()
	caches, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	lock := readFile(t, "ops", "examples", "package-lock.json")
	key := fmt.Sprintf("%x", sha256.Sum256([]byte(lock+strings.Join(runtimes, " "))))
	there := filepath.Join(caches, "tenantry", "examples", key[:16])
	if _, err := os.Stat(there); err == nil {
		return there
	}
	if err := os.MkdirAll(filepath.Dir(there), 0o755); err != nil {
		t.Fatal(err)
	}
	made, err := os.MkdirTemp(filepath.Dir(there), "new-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(made) })
	for _, name := range strings.Fields(command(t, filepath.Join(root(t), "ops", "examples"), nil, "git", "ls-files", "*package.json", "*package-lock.json", ".npmrc")) {
		write(t, filepath.Join(made, name), readFile(t, "ops", "examples", name))
	}
	command(t, made, nil, "npm", "ci", "--prefer-offline")
	command(t, made, nil, "npm", append([]string{"install", "--no-save", "--no-package-lock", "--prefer-offline"}, runtimes...)...)
	command(t, made, nil, "node", "node_modules/bun/install.js") // links the program that npm brought
	if err := os.Rename(made, there); err != nil {
		if _, other := os.Stat(there); other != nil { // nobody else was faster
			t.Fatal(err)
		}
	}
	return there
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

// java reports whether there is a JDK, which must have Spring then.
func java(t *testing.T) bool {
	t.Helper()
	if _, err := exec.LookPath("javac"); err != nil {
		return false // make examples says so
	}
	for _, jar := range strings.Split(strings.TrimSpace(strings.TrimPrefix(readFile(t, "ops", "examples", "java-spring", "classpath"), "-cp ")), ":") {
		if _, err := os.Stat(jar); err != nil && jar != "classes" {
			t.Fatalf("%s is missing (Debian: libspring-web-servlet-java libjackson2-databind-java libtomcat9-java)", jar)
		}
	}
	return true
}

// TestExamples runs the handlers of all frameworks, several at a time.
func TestExamples(t *testing.T) {
	for _, framework := range codegen.Names() {
		if !slices.ContainsFunc(examples, func(e example) bool { return e.folder == framework }) && framework != "next-pages" {
			t.Errorf("ops/examples has no %s", framework)
		}
	}
	w := open(t)
	shared(t)
	t.Run("frameworks", func(t *testing.T) {
		for _, e := range examples {
			if e.folder == "java-spring" && !w.java {
				continue
			}
			t.Run(e.name, func(t *testing.T) {
				t.Parallel()
				w.answersSignedCalls(t, e)
			})
			if change, ok := failures[e.name]; ok && e.name != "go" { // which needs no examples to be tried
				t.Run(e.name+" later", func(t *testing.T) {
					t.Parallel()
					w.reportsLater(t, e, change)
				})
				t.Run(e.name+" derived", func(t *testing.T) {
					t.Parallel()
					w.runsAnOperation(t, e)
				})
			}
		}
		for _, framework := range []string{"express", "next-app", "next-pages", "worker", "lambda"} {
			t.Run("types of "+framework, func(t *testing.T) {
				t.Parallel()
				w.typeScript(t, framework)
			})
		}
		if w.java {
			t.Run("types of java-spring", func(t *testing.T) {
				t.Parallel()
				w.javaTypes(t)
			})
		}
	})
}

// run builds and starts the handler of an action in a folder, and answers its
// address without a path.
func (w workshop) run(t *testing.T, p *project, e example, at, action string) string {
	t.Helper()
	if e.build != nil {
		command(t, at, []string{"NEXT_TELEMETRY_DISABLED=1", "NEXT_IGNORE_INCORRECT_LOCKFILE=1"}, e.build[0], e.build[1:]...)
	}
	port := freePort(t)
	words := strings.NewReplacer("{port}", port, "{python}", w.python, "{bin}", w.bin, "{class}", strings.ToUpper(action[:1])+action[1:])
	start := make([]string, len(e.start))
	for i, word := range e.start {
		start[i] = words.Replace(word)
	}
	environ := []string{"PORT=" + port, "TENANTRY_SIGNING_SECRET=" + p.signingSecret(), "TENANTRY_GRAPHQL_URL=" + p.url("/v1/graphql"), "NEXT_TELEMETRY_DISABLED=1"}
	process{dir: at, command: start, environ: environ, address: "127.0.0.1:" + port}.start(t)
	return "http://127.0.0.1:" + port
}

// readers makes a project with books that readers may see, but for one.
func readers(t *testing.T) *project {
	t.Helper()
	p := newProject(t, shared(t), managed)
	p.sql(`CREATE TABLE books (id int PRIMARY KEY, title text NOT NULL); INSERT INTO books VALUES (1, 'Solaris'), (2, 'The Dispossessed'), (3, 'The Cyberiad')`)
	p.control(200, "POST", "/tables:track", map[string]any{"tables": "all"})
	p.meta(200, "pg_create_select_permission", `{"table": "books", "role": "reader", "permission": {"columns": "*", "filter": {"id": {"_ne": 3}}}}`)
	return p
}

func (w workshop) answersSignedCalls(t *testing.T, e example) {
	p := readers(t)
	address := w.run(t, p, e, filepath.Join(w.dir, e.folder), "recommend")
	paths := []string{strings.ReplaceAll(e.path, "{action}", "recommend")}
	if e.name == "next" {
		paths = append(paths, "/api/"+otherPage)
	}
	for i, path := range paths {
		if i == 0 {
			p.recommends(address + path)
		} else {
			p.control(200, "PUT", "/actions/recommend", map[string]any{"name": "recommend", "handler": address + path, "permissions": []string{"reader"}, "definition": recommendation,
				"relationships": []any{map[string]any{"name": "book", "kind": "object", "table": "books", "mapping": map[string]any{"book_id": "id"}}}})
		}
		reader := p.as("reader")
		if a := data(t, p.url("/v1/graphql"), reader, `{ recommend(mood: "brave") { book_id book { title } } }`, nil); a.at("data", "recommend", "book", "title") != "The Dispossessed" {
			t.Errorf("%s: the joined answer: %s", path, a.Text)
		}
		refusal{"unknown-mood", "=no book for this mood"}.check(t, p.ask(reader, `{ recommend(mood: "bored") { book_id } }`))
		refusal{"no-book", "=no book that you may read"}.check(t, p.ask(reader, `{ recommend(mood: "tired") { book_id } }`))
		refusesWhatIsNotSigned(t, address+path, p.signingSecret())
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

// scaffolds are the files with the function of the action shelve.
var scaffolds = map[string]string{"express": "server.ts", "python-flask": "app.py", "java-spring": "src/main/java/tenantry/ShelveController.java"}

// bench is a folder for a handler of a framework, with what the framework needs and
// generated code does not bring.
func (w workshop) bench(t *testing.T, e example, what string) string {
	t.Helper()
	at := filepath.Join(w.dir, e.folder+"-"+what)
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if e.folder == "java-spring" {
		for _, f := range []string{"classpath", "Serve.java"} {
			write(t, filepath.Join(at, f), readFile(t, "ops", "examples", "java-spring", f))
		}
	}
	return at
}

func (w workshop) reportsLater(t *testing.T, e example, change failing) {
	p := newProject(t, shared(t), managed)
	p.shelves()
	at := w.bench(t, e, "later")
	p.postpone(e.folder, scaffolds[e.folder], at, change)
	p.shelfAt(w.run(t, p, e, at, "shelve") + strings.ReplaceAll(e.path, "{action}", "shelve"))
	p.reportedLater()
}

// runsAnOperation lets a framework's handler of a derived action run.
func (w workshop) runsAnOperation(t *testing.T, e example) {
	p := readers(t)
	const query = `query shelf($id: Int!, $most: Int = 2) { one: books_by_pk(id: $id) { title } books(limit: $most, order_by: {id: asc}) { id title } }`
	at := w.bench(t, e, "derived")
	a := p.derived(map[string]any{
		"query": query, "role": "reader", "permissions": []string{"reader"}, "handler": "{{SHELF}}" + strings.ReplaceAll(e.path, "{action}", "shelf"), "framework": e.folder,
	}, at)
	p.shelfAt(w.run(t, p, e, at, "shelf"))
	p.control(201, "POST", "/actions", a.at("action"))
	for arguments, variables := range map[string]map[string]any{"(id: 1)": {"id": 1}, "(id: 3, most: 1)": {"id": 3, "most": 1}} {
		direct := data(t, p.url("/v1/graphql"), p.as("reader"), query, variables)
		through := data(t, p.url("/v1/graphql"), p.as("reader"), "{ shelf"+arguments+" { one { title } books { id title } } }", nil)
		if want := direct.at("data"); want == nil || !reflect.DeepEqual(want, through.at("data", "shelf")) {
			t.Errorf("%s: the action answers %s, the operation %s", arguments, through.Text, direct.Text)
		}
	}
}

// variants are contracts with every kind of type and hostile names, and what can be
// made of them, by the folder that each gets.
func variants(t *testing.T, framework string) map[string][]codegen.File {
	t.Helper()
	contracts := filepath.Join("services", "engine", "codegen", "testdata")
	all := map[string][]codegen.File{}
	for action, file := range map[string]string{"place_order": "place_order.graphql", "return": "hostile.graphql"} {
		for what, change := range map[string]func(*metadata.Document, *codegen.Options){
			"plain": func(*metadata.Document, *codegen.Options) {},
			"asynchronous": func(d *metadata.Document, _ *codegen.Options) {
				d.Actions[0].Definition.Kind = "asynchronous"
			},
			"delegating": func(_ *metadata.Document, o *codegen.Options) {
				o.Delegate = &codegen.Delegate{Operation: "query q {\n  a(note: \"`); \\\"\\\"\\\" ${x} \\u000a ä\")\n}", Field: "a"}
			},
			"delegating_all": func(_ *metadata.Document, o *codegen.Options) {
				o.Delegate = &codegen.Delegate{Operation: "query q { a b }"}
			},
		} {
			doc, o := parsed(t, readFile(t, contracts, file), action), codegen.Options{}
			change(doc, &o)
			files, err := codegen.Generate(doc, action, framework, o)
			if err != nil {
				t.Fatal(err)
			}
			all[action+"_"+what] = files
			if what == "asynchronous" && action == "place_order" { // hostile.graphql has no finite answer
				shown := slices.Clone(files)
				i := slices.IndexFunc(shown, func(f codegen.File) bool {
					return strings.Contains(f.Content, "async function") || strings.HasSuffix(f.Name, "Controller.java")
				})
				shown[i].Content = later(t, shown[i].Content)
				all[action+"_later"] = shown
			}
		}
	}
	return all
}

// typeScript lets the compiler look at all variants, as strictly as it can.
func (w workshop) typeScript(t *testing.T, framework string) {
	at := filepath.Join(w.dir, framework)
	for name, files := range variants(t, framework) {
		for _, f := range files {
			if !strings.HasSuffix(f.Name, ".json") {
				write(t, filepath.Join(at, "variants", name, filepath.FromSlash(f.Name)), f.Content)
			}
		}
	}
	write(t, filepath.Join(at, "tsconfig.variants.json"), `{"extends": "./tsconfig.json", "include": ["variants/**/*.ts"],
		"compilerOptions": {"noEmit": true, "incremental": false, "strict": true, "exactOptionalPropertyTypes": true, "noUncheckedIndexedAccess": true, "noImplicitReturns": true}}`)
	command(t, at, nil, filepath.Join(w.bin, "tsc"), "-p", "tsconfig.variants.json")
}

// javaTypes compiles all variants, each as a package of its own.
func (w workshop) javaTypes(t *testing.T) {
	at := filepath.Join(w.dir, "java-variants")
	write(t, filepath.Join(at, "classpath"), readFile(t, "ops", "examples", "java-spring", "classpath"))
	build := []string{"@classpath", "-encoding", "UTF-8", "-Xlint:all,-path,-serial", "-Werror", "-d", "classes"}
	for name, files := range variants(t, "java-spring") {
		for _, f := range files {
			path := filepath.Join(name, filepath.Base(f.Name))
			write(t, filepath.Join(at, path), strings.Replace(f.Content, "package tenantry;", "package tenantry."+name+";", 1))
			build = append(build, path)
		}
	}
	command(t, at, nil, "javac", build...)
}
