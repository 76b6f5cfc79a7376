package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// block is a fenced block of a Markdown file: its language, what the test does
// with it, and its text.
type block struct {
	line                   int
	language, marker, text string
}

// markers are what the info string of a block of the README may say after the
// language.
var markers = []string{"picture", "run", "test", "quickstart", "quickstart background", "answer"}

// fencedBlocks finds the fenced blocks of a Markdown text. A fence that is not
// closed, and a block without one of the markers, are mistakes. A marker that ends
// with a space begins the one of the block, which goes on with a name.
func fencedBlocks(markdown string, markers []string) ([]block, error) {
	var blocks []block
	var open *block
	number := 0
	for line := range strings.Lines(markdown) {
		number++
		info, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case isFence && open == nil:
			language, marker, _ := strings.Cut(strings.TrimSpace(info), " ")
			known := slices.ContainsFunc(markers, func(m string) bool {
				return marker == m || strings.HasSuffix(m, " ") && strings.HasPrefix(marker, m)
			})
			if !known {
				return nil, fmt.Errorf("line %d: a block with the info string %q; expected a language and one of %q", number, info, markers)
			}
			open = &block{line: number, language: language, marker: marker}
		case isFence:
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += line
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: the block is not closed", open.line)
	}
	return blocks, nil
}

// root is the folder of the repository.
func root(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func readFile(t testing.TB, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root(t)}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEveryFencedBlockNeedsAMarker(t *testing.T) {
	t.Parallel()
	for name, markdown := range map[string]string{
		"no info string":     "```\necho\n```\n",
		"only a language":    "```sh\necho\n```\n",
		"an unknown marker":  "```sh demo\necho\n```\n",
		"more than a marker": "```sh run this\necho\n```\n",
		"no name":            "```go from\nx\n```\n",
		"not closed":         "```sh run\necho\n",
	} {
		if blocks, err := fencedBlocks(markdown, []string{"run", "from "}); err == nil {
			t.Errorf("%s: accepted as %v", name, blocks)
		}
	}
}

// TestTheReadmeIsTrue executes README.md: all blocks of its quick start in one
// shell, against a program as `make run` starts it.
func TestTheReadmeIsTrue(t *testing.T) {
	t.Parallel()
	blocks, err := fencedBlocks(readFile(t, "README.md"), markers)
	if err != nil {
		t.Fatal("README.md: ", err)
	}
	makefile := readFile(t, "Makefile")
	s := startDev(t, dataDir(t))
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler := free.Addr().String()
	free.Close()
	replace := strings.NewReplacer("http://localhost:8080", s.PublicURL, "127.0.0.1:9090", handler)

	shell := startShell(t, "README.md", t.TempDir())
	var printed []any // by the block before
	ran := map[string]int{}
	for _, b := range blocks {
		ran[b.marker]++
		text := replace.Replace(b.text)
		switch b.marker {
		case "run", "test":
			checkMakeTarget(t, makefile, b)
		case "quickstart":
			printed = documents(shell.run(t, b.line, text))
			for _, document := range printed {
				if refused(document) {
					t.Errorf("README.md, line %d: a command was refused: %v", b.line, document)
				}
			}
		case "quickstart background":
			startBackground(t, text)
			waitForPort(t, handler)
		case "answer":
			var want any
			if err := json.Unmarshal([]byte(b.text), &want); err != nil {
				t.Fatalf("README.md, line %d: %v", b.line, err)
			}
			if len(printed) == 0 || !reflect.DeepEqual(printed[len(printed)-1], want) {
				t.Errorf("README.md, line %d: expected %v, got %v", b.line, want, printed)
			}
		}
	}
	for _, marker := range markers {
		if ran[marker] == 0 {
			t.Errorf("README.md has no block %q: the test proves less than it seems", marker)
		}
	}
	shell.close(t)
}

// checkMakeTarget: the block is `make x` of a target that does what it says.
// The test itself does what these targets do.
func checkMakeTarget(t *testing.T, makefile string, b block) {
	t.Helper()
	target := strings.TrimPrefix(strings.TrimSpace(b.text), "make ")
	recipe := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:.*\n((?:\t.*\n)*)`).FindStringSubmatch(makefile)
	want := map[string]string{"run": "bin/tenantry dev", "test": "go run ./ops/gotest"}[b.marker]
	if target != b.marker || recipe == nil || !strings.Contains(recipe[1], want) {
		t.Errorf("README.md, line %d: %q should be a target of the Makefile that runs %q; its recipe is %q", b.line, b.text, want, recipe)
	}
}

// shell is one bash session that is given the commands of a page as a person types
// them.
type shell struct {
	page    string
	stdin   io.WriteCloser
	stdout  *bufio.Reader
	stderr  *output
	command *exec.Cmd
}

const blockEnd = "----- end of the block -----"

func startShell(t *testing.T, page, dir string) *shell {
	t.Helper()
	sh := &shell{page: page, stderr: &output{}, command: exec.Command("bash")}
	sh.command.Dir = dir
	sh.command.Env = environment()
	sh.command.Stderr = sh.stderr
	var err error
	if sh.stdin, err = sh.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := sh.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	sh.stdout = bufio.NewReader(stdout)
	if err := sh.command.Start(); err != nil {
		t.Fatal(err)
	}
	// A command that hangs ends the session, and so the test. Some build programs.
	timer := time.AfterFunc(5*time.Minute, func() { _ = sh.command.Process.Kill() })
	t.Cleanup(func() { timer.Stop(); _ = sh.command.Process.Kill() })
	_, err = io.WriteString(sh.stdin, "set -euo pipefail\ntrap 'echo \"failed: $BASH_COMMAND\" >&2' ERR\n")
	if err != nil {
		t.Fatal(err)
	}
	return sh
}

// run gives a block to the shell and returns what it printed. A command that
// fails ends the shell and the test.
func (sh *shell) run(t *testing.T, line int, text string) string {
	t.Helper()
	if _, err := io.WriteString(sh.stdin, text+"\nprintf '\\n%s\\n' '"+blockEnd+"'\n"); err != nil {
		t.Fatalf("%s, line %d: %v\n%s", sh.page, line, err, sh.stderr)
	}
	var out strings.Builder
	for {
		got, err := sh.stdout.ReadString('\n')
		if strings.TrimSpace(got) == blockEnd {
			return out.String()
		}
		out.WriteString(got)
		if err != nil {
			_ = sh.command.Wait()
			t.Fatalf("%s, line %d: the shell ended: %s\n%s\n%s", sh.page, line, sh.command.ProcessState, sh.stderr, out.String())
		}
	}
}

func (sh *shell) close(t *testing.T) {
	t.Helper()
	if err := sh.stdin.Close(); err != nil {
		t.Error(err)
	}
	if err := sh.command.Wait(); err != nil {
		t.Errorf("the shell ended with %v\n%s", err, sh.stderr)
	}
}

// startBackground runs a command in the repository until the test ends, with
// all that it starts.
func startBackground(t *testing.T, text string, environ ...string) {
	t.Helper()
	command := exec.Command("bash", "-c", text)
	command.Dir = root(t)
	command.Env = environment(environ...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out := &output{}
	command.Stdout, command.Stderr = out, out
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait() // it was killed
		if t.Failed() {
			t.Logf("%s:\n%s", text, out)
		}
	})
}

func waitForPort(t *testing.T, address string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute) // it may be built first
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing listens on %s: %v", address, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// documents are the JSON objects and lists in a text, which may stand one right
// after the other.
func documents(text string) []any {
	var found []any
	for {
		start := strings.IndexAny(text, "{[")
		if start < 0 {
			return found
		}
		text = text[start:]
		decoder := json.NewDecoder(strings.NewReader(text))
		var document any
		if decoder.Decode(&document) != nil {
			text = text[1:]
			continue
		}
		found = append(found, document)
		text = text[decoder.InputOffset():]
	}
}

// refused tells whether an answer of any of our APIs is an error.
func refused(document any) bool {
	object, _ := document.(map[string]any)
	status, _ := object["status"].(float64)
	return object["errors"] != nil || object["error"] != nil || status >= 400
}
