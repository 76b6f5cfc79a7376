package codegen_test

import (
	"flag"
	"io/fs"
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

var update = flag.Bool("update", false, "write the expected files anew")

// document is the metadata of one action, from its text.
func document(t testing.TB, text, action string) *metadata.Document {
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

// placeOrder has every kind of type.
func placeOrder(t testing.TB) *metadata.Document {
	t.Helper()
	text, err := os.ReadFile("testdata/place_order.graphql")
	if err != nil {
		t.Fatal(err)
	}
	doc := document(t, string(text), "place_order")
	doc.Actions[0].Definition.Kind = "asynchronous"
	o := &doc.CustomTypes.Objects[0]
	o.Relationships = []metadata.TypeRelationship{{
		Name: "order", Type: "object", RemoteTable: metadata.TableName{Schema: "public", Name: "orders"}, FieldMapping: map[string]string{"order_id": "id"},
	}}
	return doc
}

func generate(t testing.TB, doc *metadata.Document, action, framework string) []codegen.File {
	t.Helper()
	files, err := codegen.Generate(doc, action, framework, codegen.Options{GraphQLURL: "https://api.example.com/p/shop/v1/graphql"})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// write puts files into a folder.
func write(t testing.TB, dir string, files []codegen.File) {
	t.Helper()
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(f.Content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryFrameworkGetsItsFiles(t *testing.T) {
	t.Parallel()
	doc := placeOrder(t)
	for _, framework := range codegen.Names() {
		t.Run(framework, func(t *testing.T) {
			t.Parallel()
			// What is the same for all actions is tested by running it.
			files := slices.DeleteFunc(generate(t, doc, "place_order", framework), func(f codegen.File) bool {
				return strings.HasPrefix(strings.ToLower(filepath.Base(f.Name)), "webhook.")
			})
			// The suffix keeps the tools of the languages away.
			for i := range files {
				files[i].Name += ".golden"
			}
			dir := filepath.Join("testdata", "golden", framework)
			if *update {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				write(t, dir, files)
			}
			for _, f := range files {
				want, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Name)))
				if err != nil || string(want) != f.Content {
					t.Errorf("%s is not as expected (-update writes it anew): %v\n%s", f.Name, err, f.Content)
				}
			}
			if found := count(t, dir); found != len(files) {
				t.Errorf("%d files are expected, %d are made", found, len(files))
			}
		})
	}
}

// The examples hold what is generated for their contract, beside what was filled
// in.
func TestExamplesHaveWhatIsGenerated(t *testing.T) {
	t.Parallel()
	examples := filepath.Join("..", "..", "..", "ops", "examples")
	text, err := os.ReadFile(filepath.Join(examples, "recommend.graphql"))
	if err != nil {
		t.Fatal(err)
	}
	doc := document(t, string(text), "recommend")
	for _, framework := range codegen.Names() {
		for _, f := range generate(t, doc, "recommend", framework) {
			if f.Scaffold {
				continue
			}
			folders := []string{framework}
			if f.Name == "webhook.go" { // the same for all actions: a program with several has it once
				folders = append(folders, "cqrs")
			}
			for _, folder := range folders {
				at := filepath.Join(examples, folder)
				if *update {
					write(t, at, []codegen.File{f})
				}
				if found, err := os.ReadFile(filepath.Join(at, filepath.FromSlash(f.Name))); err != nil || string(found) != f.Content {
					t.Errorf("%s: %s is not what is generated now (-update writes it anew): %v", folder, f.Name, err)
				}
			}
		}
	}
}

func count(t *testing.T, dir string) (files int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// hostile.graphql has names that mean something in some language, texts that try
// to leave their comment, and types that no finite value has.
func TestHostileNamesAndTextsBecomeCodeThatCompiles(t *testing.T) {
	t.Parallel()
	hostile, err := os.ReadFile("testdata/hostile.graphql")
	if err != nil {
		t.Fatal(err)
	}
	for action, text := range map[string]string{
		"return": string(hostile),
		"main":   `type Query { main(_: Int, _1: Int!): Int }`,
		"log":    `type Mutation { log: [String] }`,
		"_":      `type Query { _: [[uuid!]!]! }`,
		"http":   `type Query { http(json: json): jsonb! }`,
	} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			doc := document(t, text, action)
			for _, framework := range codegen.Names() {
				dir := t.TempDir()
				files := generate(t, doc, action, framework)
				write(t, dir, files)
				for _, f := range files {
					if strings.ContainsAny(f.Content, "\u202e\u2028") || strings.Contains(f.Content, "second */") || strings.Contains(f.Content, "*/ alert") {
						t.Errorf("%s: %s lets a text out of its comment:\n%s", framework, f.Name, f.Content)
					}
				}
				compiles(t, framework, dir, files)
			}
		})
	}
}

func TestActionsOfAProjectNeverShareAFile(t *testing.T) {
	t.Parallel()
	// More than style and case: a controller's name, and a keyword that gets an underscore.
	actions := []string{"place_order", "placeOrder", "PlaceOrder", "place__order", "placeorder", "placeOrderController", "return", "return_", "Return"}
	doc := document(t, "type Query { place_order: Int }", "place_order")
	for _, name := range actions[1:] {
		other := doc.Actions[0]
		other.Name = name
		doc.Actions = append(doc.Actions, other)
	}
	// Go has a folder for each action; the others have these files for all of them.
	common := strings.Fields("webhook.ts webhook.py webhook.java server.ts worker.ts index.ts app.py package.json tsconfig.json requirements.txt")
	for _, framework := range codegen.Names() {
		if framework == "go" {
			continue
		}
		owner := map[string]string{}
		for _, action := range actions {
			for _, f := range generate(t, doc, action, framework) {
				name := strings.ToLower(f.Name)
				if slices.Contains(common, filepath.Base(name)) {
					continue
				}
				if other, taken := owner[name]; taken {
					t.Errorf("%s: %s is for %s and for %s", framework, f.Name, other, action)
				}
				owner[name] = action
				if class := strings.TrimSuffix(filepath.Base(f.Name), ".java"); framework == "java-spring" && !strings.Contains(f.Content, " class "+class+" ") {
					t.Errorf("%s does not have the class of its name:\n%s", f.Name, f.Content)
				}
			}
		}
		if len(owner) < len(actions) {
			t.Errorf("%s: %d files for %d actions: %v", framework, len(owner), len(actions), owner)
		}
	}
}

func TestGeneratedCodeCompiles(t *testing.T) {
	t.Parallel()
	doc := placeOrder(t)
	for _, framework := range []string{"go", "python-flask", "python-fastapi"} {
		t.Run(framework, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			files := generate(t, doc, "place_order", framework)
			write(t, dir, files)
			compiles(t, framework, dir, files)

			dir = t.TempDir()
			files, err := codegen.Generate(doc, "place_order", framework, codegen.Options{Delegate: &codegen.Delegate{
				Operation: "mutation place_order {\n  place(note: \"`); \\\"\\\"\\\" ${x}\")\n}", Field: "place",
			}})
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, files)
			compiles(t, framework, dir, files)
		})
	}
}

// compiles tries the languages whose tools are on every machine; the examples try
// the others.
func compiles(t *testing.T, framework, dir string, files []codegen.File) {
	t.Helper()
	var c *exec.Cmd
	switch {
	case framework == "go":
		c = exec.Command("go", "vet", ".")
	case strings.HasPrefix(framework, "python"):
		interpreter, err := exec.LookPath("python3")
		if err != nil {
			return
		}
		c = exec.Command(interpreter, "-m", "py_compile")
		for _, f := range files {
			if strings.HasSuffix(f.Name, ".py") {
				c.Args = append(c.Args, f.Name)
			}
		}
	default:
		return
	}
	c.Dir = dir
	c.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", framework, err, out)
		for _, f := range files {
			if !strings.HasPrefix(filepath.Base(f.Name), "webhook.") {
				t.Logf("%s\n%s", f.Name, f.Content)
			}
		}
	}
}

func TestWhatCannotBeGeneratedIsRefusedByName(t *testing.T) {
	t.Parallel()
	doc := func(edit func(*metadata.Document)) *metadata.Document {
		d := document(t, `type Query { ask(a: In): Out } input In { x: Int } type Out { y: Colour } enum Colour { RED }`, "ask")
		edit(d)
		return d
	}
	for want, c := range map[string]struct {
		framework string
		doc       *metadata.Document
	}{
		`expected one of the frameworks go, express,`: {"cobol", doc(func(*metadata.Document) {})},
		`there is no action "ask"`:                    {"go", &metadata.Document{}},
		`the name "a\nb" of the argument`:             {"go", doc(func(d *metadata.Document) { d.Actions[0].Definition.Arguments[0].Name = "a\nb" })},
		`the name "x y" of the field of In`:           {"express", doc(func(d *metadata.Document) { d.CustomTypes.InputObjects[0].Fields[0].Name = "x y" })},
		`the name "RED'" of the enum value`:           {"worker", doc(func(d *metadata.Document) { d.CustomTypes.Enums[0].Values[0].Value = "RED'" })},
		`the output type: not a GraphQL type`:         {"lambda", doc(func(d *metadata.Document) { d.Actions[0].Definition.OutputType = "[Out" })},
		`the name "__type" of the field of Out`:       {"go", doc(func(d *metadata.Document) { d.CustomTypes.Objects[0].Fields[0].Name = "__type" })},
	} {
		_, err := codegen.Generate(c.doc, "ask", c.framework, codegen.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is expected, found %v", want, err)
		}
	}
}
