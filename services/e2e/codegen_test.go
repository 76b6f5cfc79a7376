package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tenantry/api/webhook"
	"tenantry/services/engine/codegen"
)

// recommendation is the contract of the examples' action.
const recommendation = "type Query { recommend(mood: String!): Recommendation }  type Recommendation { book_id: Int! }"

// recommends registers the action of the examples with a handler. Its answer is
// joined with the table of books.
func (p *project) recommends(handler string) {
	p.t.Helper()
	p.control(http.StatusCreated, http.MethodPost, "/actions", map[string]any{
		"name": "recommend", "handler": handler, "permissions": []string{"reader"}, "definition": recommendation,
		"relationships": []any{map[string]any{"name": "book", "kind": "object", "table": "books", "mapping": map[string]any{"book_id": "id"}}},
	})
}

// signingSecret is the project's first one.
func (p *project) signingSecret() string {
	p.t.Helper()
	return p.control(200, http.MethodGet, "/signing-secrets?reveal=true", nil).text(p.t, "items", 0, "secret")
}

// process is a handler's program.
type process struct {
	dir     string
	command []string
	environ []string
	address string // which it listens on
}

// freePort is one that nobody has at the moment.
func freePort(t testing.TB) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	return strconv.Itoa(free.Addr().(*net.TCPAddr).Port)
}

// start runs the program until the test ends, with all that it starts itself, and
// waits until it listens.
func (p process) start(t testing.TB) {
	t.Helper()
	c := exec.Command(p.command[0], p.command[1:]...)
	c.Dir, c.Env = p.dir, environment(p.environ...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out := &output{}
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		<-ended
		if t.Failed() {
			t.Logf("%v:\n%s", p.command, out)
		}
	})
	deadline := time.Now().Add(time.Minute)
	for {
		connection, err := net.Dial("tcp", p.address)
		if err == nil {
			connection.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%v ended before it listened:\n%s", p.command, out)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v does not listen:\n%s", p.command, out)
		}
	}
}

// command runs a command to its end.
func command(t testing.TB, dir string, environ []string, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir, c.Env = dir, environment(environ...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// codegen writes a handler as a person does.
func (p *project) codegen(framework, action, dir string) string {
	p.t.Helper()
	key := strings.TrimPrefix(p.owner["Authorization"], "Bearer ")
	return command(p.t, dir, []string{"TENANTRY_URL=" + p.s.PublicURL, "TENANTRY_KEY=" + key},
		binary, "actions", "codegen", "--framework="+framework, "--action="+action, "--project="+p.Slug, "--out="+dir)
}

// refusesWhatIsNotSigned calls a handler as everybody but Tenantry can.
func refusesWhatIsNotSigned(t testing.TB, handler, secret string) {
	t.Helper()
	key, err := webhook.Key(secret)
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"action":{"name":"recommend"},"input":{"mood":"bored"},"session_variables":{"x-hasura-role":"reader"},"request_query":""}`
	signed := func(at time.Time, id, signedBody string, keys ...[]byte) headers {
		return headers{"webhook-id": id, "webhook-timestamp": strconv.FormatInt(at.Unix(), 10), "webhook-signature": webhook.Sign(keys, id, at, []byte(signedBody))}
	}
	now, foreign := time.Now(), []byte("another key, of 32 bytes or so..")
	for what, h := range map[string]headers{
		"unsigned":             {},
		"another key":          signed(now, "a", body, foreign),
		"another body":         signed(now, "a", body+" ", key),
		"another id":           signed(now, "a", body, key).with("webhook-id", "b"),
		"an old signature":     signed(now.Add(-6*time.Minute), "a", body, key),
		"one of the future":    signed(now.Add(6*time.Minute), "a", body, key),
		"a changed time":       signed(now, "a", body, key).with("webhook-timestamp", strconv.FormatInt(now.Unix()+1, 10)),
		"no time":              signed(now, "a", body, key).with("webhook-timestamp", "soon"),
		"an endless time":      signed(now, "a", body, key).with("webhook-timestamp", strings.Repeat("9", 5000)),
		"another version":      signed(now, "a", body, key).with("webhook-signature", strings.Replace(webhook.Sign([][]byte{key}, "a", now, []byte(body)), "v1", "v2", 1)),
		"no base64":            signed(now, "a", body, key).with("webhook-signature", "v1,!!! v1, v1"),
		"no id, though signed": signed(now, "", body, key),
	} {
		a := send(t, http.MethodPost, handler, h, body)
		if a.Status != http.StatusUnauthorized || a.at("extensions", "code") != "invalid-signature" {
			t.Errorf("%s: %d %s", what, a.Status, a.Text)
		}
	}
	// During a rotation one of two signatures is by the handler's secret.
	if a := send(t, http.MethodPost, handler, signed(now, "a", body, foreign, key), body); a.Status >= http.StatusInternalServerError || a.at("extensions", "code") == "invalid-signature" {
		t.Errorf("the second signature: %d %s", a.Status, a.Text)
	}
}

func TestAGeneratedHandlerAnswersSignedCalls(t *testing.T) {
	t.Parallel()
	p := newProject(t, shared(t), managed)
	p.library()
	port, dir := freePort(t), t.TempDir()
	p.recommends("http://127.0.0.1:" + port + "/recommend")

	p.codegen("go", "recommend", dir)
	main := filepath.Join(dir, "main.go")
	text, err := os.ReadFile(main)
	if err != nil {
		t.Fatal(err)
	}
	const refuse = "if in.Mood == \"none\" {\n\t\treturn out, &Error{Message: \"no book\", Extensions: map[string]any{\"code\": \"no-book\"}}\n\t}\n\t"
	written := strings.Replace(string(text), "return &Recommendation{BookID: 0}", refuse+"return &Recommendation{BookID: len(in.Mood) - 4}", 1)
	if err := os.WriteFile(main, []byte(written), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := p.codegen("go", "recommend", dir); !strings.Contains(again, "kept  main.go") || !strings.Contains(again, "wrote contract.go") {
		t.Errorf("what was filled in has to stay, the contract is written anew:\n%s", again)
	}
	command(t, dir, []string{"GOFLAGS="}, "go", "vet", ".")
	command(t, dir, []string{"GOFLAGS="}, "go", "build", "-o", "handler", ".")
	secret := p.signingSecret()
	process{dir: dir, command: []string{"./handler"}, environ: []string{"PORT=" + port, "TENANTRY_SIGNING_SECRET=" + secret}, address: "127.0.0.1:" + port}.start(t)

	reader := p.as("reader")
	if a := data(t, p.url("/v1/graphql"), reader, `{ recommend(mood: "brave") { book { title author { name } } } }`, nil); a.at("data", "recommend", "book", "title") != "The Dispossessed" {
		t.Errorf("the joined answer: %s", a.Text)
	}
	refusal{"no-book", "=no book"}.check(t, p.ask(reader, `{ recommend(mood: "none") { book_id } }`))
	refusesWhatIsNotSigned(t, "http://127.0.0.1:"+port+"/recommend", secret)
}

func TestCodeIsGeneratedForEveryFramework(t *testing.T) {
	t.Parallel()
	p := newProject(t, shared(t), managed)
	p.library()
	p.recommends("http://127.0.0.1:9/")
	for _, framework := range codegen.Names() {
		a := p.control(200, http.MethodGet, "/actions/recommend:codegen?framework="+framework, nil)
		if a.at("framework") != framework || !strings.Contains(a.Text, p.url("/v1/graphql")) || !strings.Contains(a.Text, "book_id") {
			t.Errorf("%s: %s", framework, a.Text)
		}
	}
	p.control(422, http.MethodGet, "/actions/recommend:codegen?framework=cobol", nil)
	p.control(422, http.MethodGet, "/actions/recommend:codegen", nil)
	p.control(404, http.MethodGet, "/actions/nothing:codegen?framework=go", nil)
	if a := p.control(200, http.MethodGet, "/actions/recommend", nil); a.at("name") != "recommend" {
		t.Errorf("the path of the action is that of another one now: %s", a.Text)
	}
}

func TestTheProgramGeneratesFromFilesToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	definition, exported := filepath.Join(dir, "recommend.graphql"), filepath.Join(dir, "metadata.json")
	p := newProject(t, shared(t), managed)
	p.library()
	p.recommends("http://127.0.0.1:9/")
	for path, text := range map[string]string{
		definition: recommendation,
		exported:   p.meta(200, "export_metadata", "{}").Text,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	contracts := map[string]string{}
	for flag, path := range map[string]string{"sdl": definition, "metadata": exported} {
		out := filepath.Join(dir, flag)
		command(t, dir, nil, binary, "actions", "codegen", "--framework=worker", "--action=recommend", fmt.Sprintf("--%s=%s", flag, path), "--out="+out)
		text, err := os.ReadFile(filepath.Join(out, "tenantry", "actions", "recommend.ts"))
		if err != nil {
			t.Fatal(err)
		}
		contracts[flag] = strings.Replace(string(text), "  // book: joined from books by book_id\n", "", 1)
	}
	if contracts["sdl"] != contracts["metadata"] || !strings.Contains(contracts["sdl"], "book_id: number;") {
		t.Errorf("the same contract is expected of both: %v", contracts)
	}

	// A file of somebody else is never written over.
	theirs := filepath.Join(dir, "theirs")
	if err := os.Mkdir(theirs, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(theirs, "webhook.go"), []byte("package mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(binary, "actions", "codegen", "--framework=go", "--action=recommend", "--sdl="+definition, "--out="+theirs).CombinedOutput()
	if text, _ := os.ReadFile(filepath.Join(theirs, "webhook.go")); err == nil || string(text) != "package mine\n" || !strings.Contains(string(out), "webhook.go is there and was not generated") {
		t.Errorf("%v: %s; the file: %s", err, out, text)
	}

	// Nor is that of another action, before anything else is written.
	if err := os.WriteFile(exported, []byte(strings.ReplaceAll(p.meta(200, "export_metadata", "{}").Text, `"recommend"`, `"suggest"`)), 0o600); err != nil {
		t.Fatal(err)
	}
	one := filepath.Join(dir, "one")
	generate := func(file, action string) (string, error) {
		out, err := exec.Command(binary, "actions", "codegen", "--framework=go", "--action="+action, file, "--out="+one).CombinedOutput()
		return string(out), err
	}
	for range 2 {
		if out, err := generate("--sdl="+definition, "recommend"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if err := os.Remove(filepath.Join(one, "go.mod")); err != nil {
		t.Fatal(err)
	}
	if out, err := generate("--metadata="+exported, "suggest"); err == nil || !strings.Contains(out, "contract.go is there and belongs to another action") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(one, "go.mod")); err == nil {
		t.Error("something was written before the refusal")
	}
}

// later is a generated handler in which what a comment shows stands in place of the
// answer at once.
func later(t testing.TB, text string) string {
	t.Helper()
	var out []string
	inside, found := false, false
	for _, line := range strings.Split(text, "\n") {
		bare := strings.TrimSpace(line)
		code, comment := strings.CutPrefix(bare, "//")
		if !comment {
			code, comment = strings.CutPrefix(bare, "#")
		}
		switch {
		case strings.Contains(line, "To report the outcome later"):
			inside, found = true, true
		case inside && !comment: // it answers at once
			inside = false
		case inside && (strings.HasPrefix(code, "\t") || strings.HasPrefix(code, "  ")):
			out = append(out, line[:len(line)-len(strings.TrimLeft(line, " \t"))]+strings.TrimSpace(code))
		case !inside:
			out = append(out, line)
		}
	}
	if !found {
		t.Fatalf("no comment shows how to report later:\n%s", text)
	}
	return strings.Join(out, "\n")
}

// shelves registers an asynchronous action, whose handler is not there yet.
func (p *project) shelves() {
	p.t.Helper()
	p.shelfAt("http://127.0.0.1:9")
	p.control(http.StatusCreated, http.MethodPost, "/actions", map[string]any{
		"name": "shelve", "handler": "{{SHELF}}", "kind": "asynchronous", "permissions": []string{"reader"},
		"definition": "type Mutation { shelve(title: String!): Shelved! }  type Shelved { place: Int! label: String }",
	})
}

// shelfAt says where its handler is.
func (p *project) shelfAt(handler string) {
	p.t.Helper()
	p.control(http.StatusOK, http.MethodPut, "/variables/SHELF", map[string]any{"value": handler, "secret": false})
}

// shelved calls the action and waits for its result.
func (p *project) shelved(title string) answer {
	p.t.Helper()
	reader := p.as("reader")
	id := data(p.t, p.url("/v1/graphql"), reader, `mutation ($title: String!) { shelve(title: $title) }`, map[string]any{"title": title}).text(p.t, "data", "shelve")
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		a := data(p.t, p.url("/v1/graphql"), reader, `query ($id: uuid!) { shelve(id: $id) { output { place label } errors } }`, map[string]any{"id": id})
		if a.at("data", "shelve", "output") != nil || a.at("data", "shelve", "errors") != nil || time.Now().After(deadline) {
			return a
		}
	}
}

// failing makes a generated handler report an error of books without a title; it
// replaces each text of a pair by the one behind it.
type failing []string

// failures by framework.
var failures = map[string]failing{
	"go": {"call.Completion.Complete(context.Background(), out)", `func() error {
		if in.Title == "" {
			return call.Completion.Fail(context.Background(), &Error{Message: "no title", Extensions: map[string]any{"code": "no-title"}})
		}
		return call.Completion.Complete(context.Background(), out)
	}()`},
	"express": {"complete, pending", "complete, fail, pending", "void complete(call.completion, output)",
		"void (input.title ? complete(call.completion, output) : fail(call.completion, new ActionError('no title', { code: 'no-title' })))"},
	"python-flask": {"target=call.completion.complete, args=[output]",
		`target=lambda: call.completion.complete(output) if input["title"] else call.completion.fail(ActionError("no title", {"code": "no-title"}))`},
	"java-spring": {"call.completion().complete(output)",
		`{ if (input.title().isEmpty()) call.completion().fail(new Webhook.ActionError("no title", Map.of("code", "no-title"))); else call.completion().complete(output); }`},
}

// postpone writes a handler of shelve that reports later into a folder.
func (p *project) postpone(framework, scaffold, dir string, change failing) {
	p.t.Helper()
	p.codegen(framework, "shelve", dir)
	path := filepath.Join(dir, filepath.FromSlash(scaffold))
	text, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.NewReplacer(change...).Replace(later(p.t, string(text)))), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// reportedLater checks what the handler of shelve reports.
func (p *project) reportedLater() {
	p.t.Helper()
	if a := p.shelved("Solaris"); a.at("data", "shelve", "output", "place") != 0.0 || a.at("data", "shelve", "errors") != nil {
		p.t.Errorf("the reported output: %s", a.Text)
	}
	if a := p.shelved(""); a.at("data", "shelve", "errors", "error") != "no title" || a.at("data", "shelve", "errors", "extensions", "code") != "no-title" {
		p.t.Errorf("the reported error: %s", a.Text)
	}
	runs := p.control(200, http.MethodGet, "/actions/shelve/runs", nil)
	for i := range 2 {
		if runs.at("items", i, "deliveries") != 1.0 {
			p.t.Errorf("a run that was reported later: %s", runs.Text)
		}
	}
}

func TestAGeneratedHandlerReportsLater(t *testing.T) {
	t.Parallel()
	p := newProject(t, shared(t), managed)
	p.library()
	port, dir := freePort(t), t.TempDir()
	p.shelves()
	p.shelfAt("http://127.0.0.1:" + port)
	p.postpone("go", "main.go", dir, failures["go"])
	command(t, dir, []string{"GOFLAGS="}, "go", "vet", ".")
	command(t, dir, []string{"GOFLAGS="}, "go", "build", "-o", "handler", ".")
	process{dir: dir, command: []string{"./handler"}, environ: []string{
		"PORT=" + port, "TENANTRY_SIGNING_SECRET=" + p.signingSecret(), "TENANTRY_GRAPHQL_URL=" + p.url("/v1/graphql"),
	}, address: "127.0.0.1:" + port}.start(t)
	p.reportedLater()
}
