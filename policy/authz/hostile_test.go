package authz_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/api/errcode"
	"tenantry/policy/authz"
)

// within fails the test when f takes longer than a hostile policy may cost. The
// bound is far above the deadline, because tests share a busy machine, and far
// below what the attacks take when nothing stops them.
func within(t *testing.T, name string, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("%s took %s", name, d)
	}
}

func TestHostilePoliciesDenyWithinTheirBounds(t *testing.T) {
	t.Parallel()
	doubling := "s0 := \"0123456789abcdef\"\n"
	for i, next := range strings.Split("123456789abcdefghijklmnop", "") {
		previous := strings.Split("0123456789abcdefghijklmnop", "")[i]
		doubling += "s" + next + " := concat(\"\", [s" + previous + ", s" + previous + "])\n"
	}
	squaring := "n0 := 123456789\n"
	for i, next := range strings.Split("123456789abcdefghijklmnop", "") {
		previous := strings.Split("0123456789abcdefghijklmnop", "")[i]
		squaring += "n" + next + " := n" + previous + " * n" + previous + "\n"
	}
	long := strings.Repeat("a", 200<<10)
	for _, test := range []struct {
		name, rules string
		args        map[string]any
	}{
		{"a loop", `allow if { some a in numbers.range(1, 100000); some b in numbers.range(1, 100000); a * b == 0 }`, nil},
		{"a long range", `allow if count(numbers.range(1, 1000000000)) == 0`, nil},
		{"a huge bound", `allow if count(numbers.range(1, input.args.n)) > 0`, map[string]any{"n": json.Number("1e1000000")}},
		{"doubling texts", doubling + `allow if count(sp) > 0`, nil},
		{"squaring numbers", squaring + `allow if np > 0`, nil},
		{"a huge number in a text", `allow if format_int(input.args.n, 10) != ""`, map[string]any{"n": json.Number("1e100000000")}},
		{"comparing huge numbers", `allow if input.args.n < input.args.m`, map[string]any{"n": json.Number("1e100000000"), "m": json.Number("1e-100000000")}},
		{"a long text split", `allow if count(split(input.args.s, "")) > 0`, map[string]any{"s": long}},
		{"a failing bound under not", `allow if not startswith(input.args.s, "b")`, map[string]any{"s": long}},
		{"replace that multiplies", `allow if count(replace(substring(input.args.s, 0, 60000), "a", substring(input.args.s, 0, 60000))) > 0`, map[string]any{"s": long[:65000]}},
		{"concat that multiplies", `allow if concat("", [input.args.s | some x in numbers.range(1, 2000); x > 0]) != ""`, map[string]any{"s": long[:60000]}},
		{"a costly pattern", `allow if regex.match("(x{500}y{500}){1}(a{900}b{90})*c", input.args.s)`, map[string]any{"s": long[:60000]}},
		{"input that is too large", `allow := true`, map[string]any{"s": strings.Repeat("a", 300<<10)}},
	} {
		p := compile(t, "package authz\n"+test.rules)
		within(t, test.name, func() {
			d, err := p.Decide(t.Context(), request("user", test.args))
			var e *errcode.Error
			if d.Allowed || !errors.As(err, &e) || e.Extensions["decision_id"] != d.ID {
				t.Errorf("%s: got %+v, %v", test.name, d, err)
				return
			}
			if e.Code != errcode.PermissionDenied && e.Code != errcode.PolicyTimeout {
				t.Errorf("%s: got code %s", test.name, e.Code)
			}
		})
	}
}

func TestAPolicyThatNeverEndsTimesOutAndIsThenDeniedFast(t *testing.T) {
	t.Parallel()
	p := compile(t, "package authz\nallow if { some a in numbers.range(1, 3000); some b in numbers.range(1, 100000); a * b == 0 }")
	decide := func() {
		d, err := p.Decide(t.Context(), request("user", nil))
		if e := errcode.From(err); d.Allowed || e == nil || e.Code != errcode.PolicyTimeout {
			t.Errorf("got %+v, %v", d, err)
		}
	}
	for range 5 {
		within(t, "a time-out", decide)
	}
	start := time.Now()
	for range 1000 {
		decide()
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("1000 denials after repeated time-outs took %s", d)
	}
}

func TestOneProjectsSlowPolicyDoesNotStarveAnother(t *testing.T) {
	t.Parallel()
	slow := compile(t, "package authz\nallow if { some a in numbers.range(1, 3000); some b in numbers.range(1, 100000); a * b == 0 }")
	quick := compile(t, "package authz\nallow := true")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { _, _ = slow.Decide(t.Context(), request("user", nil)) })
	}
	for range 20 {
		if d, err := quick.Decide(t.Context(), request("user", nil)); err != nil || !d.Allowed {
			t.Errorf("%+v %v", d, err)
		}
	}
	wg.Wait()
}

func TestLargeModulesCompileWithinBounds(t *testing.T) {
	t.Parallel()
	brackets := "package authz\nallow if x == " + strings.Repeat("[", 60000)
	within(t, "brackets", func() {
		if _, err := authz.Compile(t.Context(), []authz.Module{{Name: "a.rego", Text: brackets}}, nil); err == nil {
			t.Error("accepted")
		}
	})
}
