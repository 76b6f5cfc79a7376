package main

import (
	"errors"
	"strings"
	"testing"
)

func TestCountsAndExitCodeFollowTheEvents(t *testing.T) {
	t.Parallel()
	const pass = `{"Action":"pass","Package":"p","Test":"TestA"}` + "\n"
	for name, c := range map[string]struct {
		events string
		ended  error
		last   string
		code   int
	}{
		"all pass":          {pass + `{"Action":"pass","Package":"p","Elapsed":1}`, nil, "1 passed, 0 failed, 0 skipped", 0},
		"a subtest skips":   {pass + `{"Action":"skip","Package":"p","Test":"TestA/b"}`, nil, "1 passed, 0 failed, 1 skipped", 1},
		"a package without": {pass + `{"Action":"skip","Package":"q"}`, nil, "1 passed, 0 failed, 0 skipped", 0},
		"a test fails":      {pass + `{"Action":"fail","Package":"p","Test":"TestB"}`, errors.New("exit status 1"), "1 passed, 1 failed, 0 skipped", 1},
		"does not build":    {pass + `{"ImportPath":"q","Action":"build-fail"}`, errors.New("exit status 1"), "1 passed, 0 failed, 0 skipped", 1},
		"ends by itself":    {pass, errors.New("signal: killed"), "1 passed, 0 failed, 0 skipped", 1},
		"nothing ran":       {"", nil, "0 passed, 0 failed, 0 skipped", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			s := &summary{output: map[string][]string{}}
			s.read(strings.NewReader(c.events), &out)
			code := s.report(&out, c.ended)
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if code != c.code || lines[len(lines)-1] != c.last {
				t.Errorf("code %d, last line %q, expected %d, %q", code, lines[len(lines)-1], c.code, c.last)
			}
		})
	}
}

func TestTheOutputOfAFailedTestIsShownAndThatOfOthersIsNot(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	s := &summary{output: map[string][]string{}}
	s.read(strings.NewReader(`{"Action":"output","Package":"p","Test":"TestA","Output":"seen\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"unseen\n"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"fail","Package":"p","Test":"TestA"}
`), &out)
	if text := out.String(); !strings.Contains(text, "\nseen\n") || strings.Contains(text, "unseen") {
		t.Errorf("got %q", text)
	}
}
