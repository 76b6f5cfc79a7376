// Command gotest runs `go test -json` with its arguments, shows what failed, and
// ends with one line of counts. A skipped test is a failure: a test that does
// not run proves nothing, and nobody reads a list of skips.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// event is one line of `go test -json`.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

// summary counts tests, subtests among them, and packages that failed on their
// own: they did not build, or ended outside of a test.
type summary struct {
	passed, failed, skipped int
	broken                  []string
	output                  map[string][]string // of a test, or of a package, until it has ended
}

func main() {
	test := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	test.Stderr = os.Stderr
	lines, err := test.StdoutPipe()
	if err == nil {
		err = test.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
	s := &summary{output: map[string][]string{}}
	s.read(lines, os.Stdout)
	ended := test.Wait()
	os.Exit(s.report(os.Stdout, ended))
}

// read follows the events and shows the output of what failed or was skipped.
func (s *summary) read(lines io.Reader, w io.Writer) {
	scanner := bufio.NewScanner(lines)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		var e event
		if json.Unmarshal(scanner.Bytes(), &e) != nil {
			fmt.Fprintln(w, scanner.Text())
			continue
		}
		s.take(e, w)
	}
}

func (s *summary) take(e event, w io.Writer) {
	key := e.Package + e.ImportPath + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		s.output[key] = append(s.output[key], e.Output)
		return
	case "pass":
		if e.Test != "" {
			s.passed++
		} else {
			fmt.Fprintf(w, "ok    %6.1fs  %s\n", e.Elapsed, e.Package)
		}
	case "skip":
		if e.Test != "" {
			s.skipped++
			fmt.Fprintf(w, "SKIP  %s %s\n%s", e.Package, e.Test, strings.Join(s.output[key], ""))
		}
	case "fail", "build-fail":
		if e.Test != "" {
			s.failed++
		} else if name := e.Package + e.ImportPath; !slices.Contains(s.broken, name) {
			s.broken = append(s.broken, name)
		}
		fmt.Fprintf(w, "FAIL  %s\n%s", key, strings.Join(s.output[key], ""))
	default:
		return
	}
	delete(s.output, key)
}

// report writes the last lines and returns the exit code.
func (s *summary) report(w io.Writer, ended error) int {
	for _, name := range s.broken {
		fmt.Fprintln(w, "failed:", name)
	}
	fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	if ended != nil || s.failed > 0 || len(s.broken) > 0 || s.skipped > 0 || s.passed == 0 {
		return 1
	}
	return 0
}
