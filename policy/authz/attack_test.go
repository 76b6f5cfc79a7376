package authz_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"tenantry/ops/timetest"
	"tenantry/policy/authz"
)

// What any one attack may cost: the deadline of an evaluation and of the one for
// its reasons, with what it takes to stop them.
const (
	attackTime    = 150 * time.Millisecond // of processors
	attackMemory  = 256 << 20              // bytes, all that is allocated
	decidingKeeps = 1 << 20                // bytes that are still there afterwards
	savingKeeps   = 16 << 20
)

// attackLimit is attackTime for this build.
var attackLimit = timetest.Slowed(attackTime, 20)

// attack measures what it costs the process to compile rules, or what is then done with
// them. Nothing else may run meanwhile, so the tests that call it are not parallel.
func attack(t *testing.T, name, rules string, keeps int64, f func(authz.Module) func()) {
	t.Helper()
	var kept, grown int64
	var before, after runtime.MemStats
	took := timetest.Least(attackLimit, func(try int) time.Duration {
		// Nothing is known of other rules.
		run := f(authz.Module{Name: "authz.rego", Text: fmt.Sprintf("package authz\n%s\n# %d", rules, try)})
		kept = heap()
		runtime.ReadMemStats(&before)
		started := timetest.CPU(t)
		run()
		took := timetest.CPU(t) - started
		runtime.ReadMemStats(&after)
		grown = heap() - kept
		return took
	})
	t.Logf("%s: %s, %d KiB allocated, %d KiB kept", name, took.Round(time.Millisecond), (after.TotalAlloc-before.TotalAlloc)>>10, grown>>10)
	if took > attackLimit {
		t.Errorf("%s took %s of processors, want at most %s", name, took, attackLimit)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > attackMemory {
		t.Errorf("%s allocated %d MiB, want at most %d", name, allocated>>20, attackMemory>>20)
	}
	if grown > keeps {
		t.Errorf("%s keeps %d KiB, want at most %d", name, grown>>10, keeps>>10)
	}
}

// doubled is a chain of n values, each made of the one before it; its end is d<n>.
func doubled(n int, first, next string) string {
	rules := "d0 := " + first + "\n"
	for i := range n {
		rules += fmt.Sprintf("d%d := %s\n", i+1, strings.NewReplacer(`$"`, `$"`, "$", fmt.Sprint("d", i)).Replace(next))
	}
	return rules
}

func TestAttacksOnDecisionsAreDeniedWithinTheirBounds(t *testing.T) {
	long, many := strings.Repeat("a", 60_000), make([]any, 60_000)
	for i := range many {
		many[i] = json.Number("1")
	}
	exponents := make([]any, 20_000)
	for i := range exponents {
		exponents[i] = json.Number(fmt.Sprintf("%de300", i*7919%20_011))
	}
	digits := make([]any, 3000)
	for i := range digits {
		digits[i] = json.Number(strings.Repeat("9", 60))
	}
	numbers := func(n int, form string) map[string]any {
		out := make([]any, n)
		for i := range out {
			out[i] = json.Number(fmt.Sprintf(form, i+1))
		}
		return map[string]any{"n": out, "m": out[1:], "s": long}
	}
	for _, test := range []struct {
		name, rules string
		args        map[string]any
	}{
		{"texts put together with a long one between", `allow if concat(input.args.s, [x | some i in input.args.n; x := ""]) == ""`, numbers(3000, "%d")},
		{"endless numbers added", `allow if sum(input.args.n) < 0`, numbers(3, "%de100000000")},
		{"endless numbers in a list", `allow if 5 in input.args.n`, numbers(20, "%de999999")},
		{"endless numbers compared", `allow if input.args.n == input.args.m`, numbers(1000, "%de999999")},
		{"endless numbers made one", `allow if input.args.n = input.args.m`, numbers(1000, "%de999999")},
		{"endless numbers of a text", `allow if { x := json.unmarshal(replace(input.args.s, "a", "1e999999,")); x = input.args.n }`, map[string]any{"s": "[" + long[:1000] + "1]", "n": numbers(1001, "%de999999")["n"]}},
		{"numbers with exponents as a key", `allow if { s := {k | k := input.args.n}; s[input.args.m] }`, map[string]any{"n": numbers(15_999, "%d0e300")["n"], "m": numbers(15_999, "%de301")["n"]}},
		{"numbers with exponents made one", `allow if input.args.n = input.args.m`, map[string]any{"n": numbers(15_999, "%d0e300")["n"], "m": numbers(16_000, "%de301")["n"]}},
		{"small numbers multiplied", `allow if product(input.args.n) > 1`, numbers(200, "%de-308")},
		{"some numbers with exponents sorted", `allow if count(sort(array.concat(input.args.n, input.args.m))) == 0`, numbers(950, "%de300")},
		{"a plain number among ones with exponents", `allow if not 1 in input.args.n`, numbers(20_000, "%de300")},
		{"wide integers and fractions sorted", `allow if count(sort(array.concat(input.args.n, [x | some i in input.args.n; x := (i % 7) / 10]))) == 0`, numbers(10_000, "9%016d")},
		{"long texts in a new array", `allow if count(array.concat([x | some i in numbers.range(1, 20000); x := input.args.s], [1])) == 0`, numbers(1, "%d")},
		{"numbers of one hash taken out", `allow if object.remove({"a": 1}, input.args.n) == {}`, numbers(20_000, "%de30")},
		{"paths that are long", `allow if json.remove({"a": 1}, [p | some i in numbers.range(1, 20000); p := concat("/", ["a", substring(input.args.s, 0, 100)])]) == {}`, numbers(1, "%d")},
		{"many paths of a key", `allow if json.filter({"a": 1}, [p | some i in input.args.n; p := format_int(i, 10)]) == {"b": 1}`, numbers(20_000, "%d")},
		{"a range of wide integers", `allow if count(numbers.range(9223372036854775807, input.args.n[0])) == 0`, numbers(1, "%de300")},
		{"a loop", `allow if { some a in numbers.range(1, 3000); some b in numbers.range(1, 100000); a * b == 0 }`, nil},
		{"a loop for the reasons", "allow := false\n" + `reason contains "x" if { some a in numbers.range(1, 3000); some b in numbers.range(1, 100000); a * b == 0 }`, nil},
		{"a long range", `allow if count(numbers.range(1, 1000000000)) == 0`, nil},
		{"a huge bound", `allow if count(numbers.range(1, input.args.n)) > 0`, map[string]any{"n": json.Number("1e1000000")}},
		{"a collection in memory", `allow if count([x | some a in numbers.range(1, 100000); some b in numbers.range(1, 100000); x := [a, b]]) == 0`, nil},
		{"a set in memory", `allow if count({[a, b] | some a in numbers.range(1, 100000); some b in numbers.range(1, 100000)}) == 0`, nil},
		{"a rule of many keys", "pairs[a] contains b if { some a in numbers.range(1, 3000); some b in numbers.range(1, 3000) }\nallow if count(pairs) == 0", nil},
		{"doubling texts", doubled(25, `"0123456789abcdef"`, `concat("", [$, $])`) + `allow if count(d25) > 0`, nil},
		{"doubling templates", doubled(25, `"0123456789abcdef"`, `$"{$}{$}"`) + `allow if count(d25) > 0`, nil},
		{"doubling escapes", doubled(25, `"\"\\"`, `json.marshal($)`) + `allow if count(d25) > 0`, nil},
		{"squaring numbers", doubled(25, `123456789`, `$ * $`) + `allow if d25 > 0`, nil},
		{"a product of long numbers", `allow if product(input.args.n) < 0`, map[string]any{"n": digits}},
		{"a huge number in a text", `allow if format_int(input.args.n, 10) == ""`, map[string]any{"n": json.Number("1e100000000")}},
		{"a huge number of a text", `allow if to_number("1e100000000") + 1 == 0`, nil},
		{"comparing huge numbers", `allow if input.args.n < input.args.m`, map[string]any{"n": json.Number("1e100000000"), "m": json.Number("1e-100000000")}},
		{"a long text split", `allow if count(split(input.args.s, "")) == 0`, map[string]any{"s": long}},
		{"a long text cut", `allow if trim(input.args.s, input.args.cut) == "x"`, map[string]any{"s": strings.Repeat("ñ", 30_000), "cut": strings.Repeat("é", 29_999) + "ñ"}},
		{"a long text cut at the left", `allow if trim_left(input.args.s, input.args.cut) == "x"`, map[string]any{"s": strings.Repeat("ñ", 30_000), "cut": strings.Repeat("é", 29_999) + "ñ"}},
		{"a long text sought", `allow if indexof(input.args.s, input.args.of) > 0`, map[string]any{"s": long, "of": strings.Repeat("a", 30_000) + "b"}},
		{"a long text sought in another alphabet", `allow if indexof(input.args.s, input.args.of) > 0`, map[string]any{"s": strings.Repeat("ñ", 30_000), "of": strings.Repeat("ñ", 15_000) + "b"}},
		{"a long array sought", `allow if object.subset(input.args.n, array.concat(array.slice(input.args.n, 0, 30000), [2]))`, map[string]any{"n": many}},
		{"many prefixes", `allow if strings.any_prefix_match([s | some i in input.args.n; s := input.args.s], [s | some i in input.args.n; s := concat("", [input.args.s, "b"])])`,
			map[string]any{"s": long[:30_000], "n": many[:3000]}},
		{"a deep text", `allow if json.unmarshal(input.args.s) == 1`, map[string]any{"s": strings.Repeat("[", 60_000)}},
		{"a deep text that closes", `allow if json.unmarshal(input.args.s) == 1`, map[string]any{"s": strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000)}},
		{"a failing bound under not", `allow if not startswith(input.args.s, "b")`, map[string]any{"s": long + long}},
		{"replace that multiplies", `allow if count(replace(input.args.s, "a", input.args.s)) > 0`, map[string]any{"s": long}},
		{"a long text replaced", `allow if replace(input.args.s, input.args.of, "") == "x"`, map[string]any{"s": long, "of": strings.Repeat("[", 60_000)}},
		{"long texts as JSON", `allow if json.marshal([input.args.s | some x in numbers.range(1, 20000); x > 0]) == ""`, map[string]any{"s": long}},
		{"long texts as prefixes", `allow if strings.any_prefix_match([input.args.s | some x in numbers.range(1, 20000); x > 0], [input.args.s | some x in numbers.range(1, 20000); x > 0])`, map[string]any{"s": long}},
		{"a number with an exponent in a long list", `allow if not input.args.x in array.concat(input.args.n, input.args.n)`, map[string]any{"n": many, "x": json.Number("1e308")}},
		{"numbers with exponents sorted", `allow if count(sort(array.concat(input.args.n, [input.args.x]))) == 0`, map[string]any{"n": exponents, "x": 1}},
		{"concat that multiplies", `allow if concat("", [input.args.s | some x in numbers.range(1, 2000); x > 0]) != ""`, map[string]any{"s": long}},
		{"a costly pattern", `allow if regex.match("(x{500}y{500}){1}(a{900}b{90})*c", input.args.s)`, map[string]any{"s": long}},
		{"a nested pattern", `allow if regex.match("((((a{30}){30}){30}){30}){30}", input.args.s)`, map[string]any{"s": long}},
		{"a long layout", `allow if time.parse_ns(input.args.s, input.args.s) == 1`, map[string]any{"s": strings.Repeat("2006", 15_000)}},
		{"a long version", `allow if semver.compare(input.args.s, input.args.s) == 1`, map[string]any{"s": "1.2.3-" + strings.Repeat("1.", 29_000) + "1"}},
		{"many paths", `allow if count(json.remove(input.args, [p | some i in input.args.n; p := "n/0"])) == 0`, map[string]any{"n": many}},
		{"an input that is too large", `allow := true`, map[string]any{"s": strings.Repeat("a", 300<<10)}},
		{"an input that is too deep", `allow := true`, map[string]any{"s": deep(10_000)}},
	} {
		attack(t, test.name, test.rules, decidingKeeps, func(m authz.Module) func() {
			p, err := authz.Compile(t.Context(), []authz.Module{m}, nil)
			if err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			return func() {
				if d, err := p.Decide(t.Context(), request("user", test.args)); d.Allowed {
					t.Errorf("%s: got %+v, %v", test.name, d, err)
				}
			}
		})
	}
}

func deep(n int) (v any) {
	for range n {
		v = []any{v}
	}
	return v
}

func TestAttacksOnSavingReturnWithinTheirBounds(t *testing.T) {
	var wide strings.Builder
	for i := 0; wide.Len() < authz.MaxData-100; i++ {
		fmt.Fprintf(&wide, `"k%d":%d,`, i, i)
	}
	helpers := ""
	for i := range 16 {
		helpers += fmt.Sprintf("h%d if input.row.n == %d\nh%d if input.row.n == %d\n", i, i, i, i+100)
	}
	for _, test := range []struct {
		name, rules, data string
		refused           bool
	}{
		{"a module that is too large", "allow := " + strings.Repeat("1", authz.MaxModule), "", true},
		{"brackets", "allow if x == " + strings.Repeat("[", 60_000), "", true},
		{"parentheses", "allow if " + strings.Repeat("(", 60_000), "", true},
		{"braces", "allow := " + strings.Repeat("{1:", 20_000), "", true},
		{"negations", "allow if " + strings.Repeat("not ", 15_000) + "true", "", true},
		{"signs", "allow if " + strings.Repeat("-", 60_000) + "1", "", true},
		{"a long sum", "allow if 1" + strings.Repeat("+1", 30_000) + " == 2", "", true},
		{"a long chain of else", "allow if input.args.x == 0" + strings.Repeat(" else := true if input.args.x", 2000), "", true},
		{"as long a chain of else as may be", "allow if input.args.x == 0" + strings.Repeat(" else := true if input.args.x", 200), "", false},
		{"a long path", "allow if input" + strings.Repeat(".a", 30_000), "", false},
		{"types that double", doubled(40, `[1, "a"]`, `[$, $]`) + "allow if d40 == 1", "", true},
		{"types of objects that double", doubled(40, `{"a": 1}`, `{"a": $, "b": $}`) + "allow if d40.a.b.a == 1", "", true},
		{"many rules", manyRules(authz.MaxModule - 100), "", false},
		{"helpers in all combinations", helpers + "allow if { h0; h1; h2; h3; h4; h5; h6; h7; h8; h9; h10; h11; h12; h13; h14; h15 }", "", false},
		{"data that is too large", "allow := true", `{"s":"` + strings.Repeat("a", authz.MaxData) + `"}`, true},
		{"data that is deep", "allow := true", `{"s":` + strings.Repeat("[", 900_000) + `}`, true},
		{"data that is wide", "allow := true", "{" + strings.TrimSuffix(wide.String(), ",") + "}", false},
		{"a set of numbers with exponents", "s := {" + listed(900, "%de300") + "}", "", true},
		{"a set of long numbers", "s := {" + listed(900, "%d1000000000000000000000000") + "}", "", true},
		{"a set of fractions", "s := {" + listed(9000, "0.%d") + "}", "", true},
		{"fractions in a template", `s := $"{ {` + listed(9000, "0.%d") + `} }"`, "", true},
		{"as many fractions as may be", "s := {" + listed(500, "0.%d") + "}", "", false},
		{"a set of arrays of one hash", "s := {" + listed(4000, "[%d,-%[1]d]") + "}", "", true},
		{"a set of arrays in parentheses", "s := {" + listed(4000, "([%d,-%[1]d])") + "}", "", true},
		{"an object of keys of one hash", "s := {" + listed(4000, "[%d,-%[1]d]:1") + "}", "", true},
		{"as many arrays in a set as may be", "s := {" + listed(500, "[%d,-%[1]d]") + "}", "", false},
		{"rules of many fractions", strings.ReplaceAll(listed(1500, "allow if input.args.n == 0.%d"), ",", "\n"), "", true},
		{"an endless number", "s := [1e999999]", "", true},
		{"an endless number in data", "allow := true", `{"n":[1e999999]}`, true},
		{"many numbers with exponents in data", "allow := true", `{"n":[` + listed(2000, "%de300") + `]}`, true},
		{"a test that loops", "test_x if { some a in numbers.range(1, 3000); some b in numbers.range(1, 100000); a * b == 0 }", "", true},
		{"a function of another world", `allow if http.send({"url": "http://192.0.2.1/", "method": "get"}).status_code == 200`, "", true},
		{"a shift", `allow if bits.lsh(1, 10000000) > 0`, "", true},
		{"paths in a graph", `allow if count(graph.reachable_paths({"a": ["a"]}, {"a"})) > 0`, "", true},
	} {
		attack(t, test.name, test.rules, savingKeeps, func(m authz.Module) func() {
			return func() {
				_, err := authz.Compile(t.Context(), []authz.Module{m}, []byte(test.data))
				if (err != nil) != test.refused {
					t.Errorf("%s: got %.200v", test.name, err)
				}
			}
		})
	}
}

// listed are n numbers in a form, with commas between them.
func listed(n int, form string) string {
	var out strings.Builder
	for i := range n {
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, form, i+1)
	}
	return out.String()
}

func manyRules(size int) string {
	var rules strings.Builder
	for i := 0; rules.Len() < size-60; i++ {
		fmt.Fprintf(&rules, "allow if input.args.amount == %d\n", i)
	}
	return rules.String()
}
