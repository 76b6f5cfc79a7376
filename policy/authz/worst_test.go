package authz_test

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// longest is how many bytes a text may have that goes into a builtin.
const longest = 64 << 10

type value struct {
	name string
	term *ast.Term
}

func filled(unit string) string { return strings.Repeat(unit, longest/len(unit)) }

// worstTexts are long in ways that functions find hard.
func worstTexts() []string {
	var alphabet strings.Builder
	for r := rune(0x3400); alphabet.Len() < longest-3; r++ {
		alphabet.WriteRune(r)
	}
	as, ns := filled("a"), filled("ñ")
	return []string{
		"", "a", "é", as, as[:longest/2] + "b", as[:4096], ns, ns[:longest/2] + "b", alphabet.String(),
		filled(`\`), filled("\x01"), filled("\xff"), filled(" "), filled("0"), "1." + filled("9")[2:], "1e100000000",
		filled("[")[:9000] + filled("]")[:9000], filled("["), "[" + filled("1,")[2:] + "1]", "[" + filled("1e308,")[6:] + "1]", "[1e100000000]",
		filled("2006"), filled("January"), "1.2.3-" + filled("1.")[6:] + "1", filled("1h"), "2006-01-02T15:04:05." + filled("0")[30:] + "Z",
		filled("a/"), filled("QUFB"), filled("ff"), "(x{500}y{500}){1}(a{900}b{90})*c", "(a|a)*$", "((((a{30}){30}){30}){30}){30}",
		"(.*)(.*)(.*)(.*)(.*)x", `\pL{300}`, filled("%s"),
	}
}

func worstNumbers() []string {
	nines := strings.Repeat("9", 64)
	return []string{"0", "-1", "2", "36", "0.1", "100000", "1650000000000000000", "9223372036854775807", "-9223372036854775808", "1e18", "1e308", "-1e308", "1e-308",
		nines, "0." + nines[2:], "1." + nines[:57] + "e308"}
}

func textTerm(i int) *ast.Term { return ast.StringTerm(fmt.Sprint(i * 7919 % 1_000_003)) }
func oneTerm(int) *ast.Term    { return ast.InternedTerm(1) }

// numbered makes different numbers, written in a form.
func numbered(form string) func(int) *ast.Term {
	return func(i int) *ast.Term { return ast.NumberTerm(json.Number(fmt.Sprintf(form, i+1))) }
}

func array(n int, member func(int) *ast.Term) *ast.Term {
	terms := make([]*ast.Term, n)
	for i := range terms {
		terms[i] = member(i)
	}
	return ast.ArrayTerm(terms...)
}

func set(n int, member func(int) *ast.Term) *ast.Term {
	s := ast.NewSet()
	for i := range n {
		s.Add(member(i))
	}
	return ast.NewTerm(s)
}

func object(n int, key, member func(int) *ast.Term) *ast.Term {
	o := ast.NewObject()
	for i := range n {
		o.Insert(key(i), member(i))
	}
	return ast.NewTerm(o)
}

// worstValues are of all types. Large ones are about as large as an evaluation could
// build within its deadline.
func worstValues() []value {
	var all []value
	add := func(name string, t *ast.Term) { all = append(all, value{name, t}) }
	for _, text := range worstTexts() {
		add(fmt.Sprintf("%.12q of %d bytes", text, len(text)), ast.StringTerm(text))
	}
	for _, n := range worstNumbers() {
		add(n, ast.NumberTerm(json.Number(n)))
	}
	long := ast.StringTerm(filled("a"))
	almost := func(i int) *ast.Term { return ast.StringTerm(filled("a")[:longest/2] + fmt.Sprint(i)) }
	path := ast.StringTerm(strings.Repeat("a/", 60) + "a")
	nested, deepest := textTerm(0), ast.ArrayTerm()
	for i := range 60 {
		nested = ast.ObjectTerm([2]*ast.Term{ast.StringTerm("a"), nested}, [2]*ast.Term{textTerm(i), oneTerm(0)})
		deepest = ast.ArrayTerm(deepest)
	}
	for _, m := range []struct {
		name   string
		member func(int) *ast.Term
		most   int
	}{
		{"ones", oneTerm, 1_000_000}, {"integers", numbered("%d"), 100_000}, {"wide integers", numbered("9%016d"), 100_000}, {"fractions", numbered("0.%d"), 100_000},
		{"1e308", func(int) *ast.Term { return ast.NumberTerm("1e308") }, 20_000}, {"exponents", numbered("%de300"), 20_000}, {"small exponents", numbered("%de-308"), 20_000},
		{"medium exponents", numbered("%de30"), 20_000}, {"huge exponents", numbered("%de1000000"), 2000}, {"endless exponents", numbered("%de100000000"), 2000},
		{"digits", numbered("%060d1"), 60_000}, {"decimals", numbered("1.%050d1"), 60_000},
		{"one long text", func(int) *ast.Term { return long }, 100_000}, {"texts that end differently", almost, 1900}, {"texts", textTerm, 100_000},
		{"empty texts", func(int) *ast.Term { return ast.InternedEmptyString }, 190_000}, {"long paths", func(int) *ast.Term { return path }, 20_000},
		{"deep arrays", func(int) *ast.Term { return deepest }, 1900}, {"deep objects", func(int) *ast.Term { return nested }, 1900},
		{"objects of a key", func(i int) *ast.Term { return object(1, func(int) *ast.Term { return textTerm(i) }, oneTerm) }, 20_000},
		{"arrays", func(i int) *ast.Term { return ast.ArrayTerm(ast.IntNumberTerm(i), ast.IntNumberTerm(-i)) }, 20_000},
		{"truths", func(int) *ast.Term { return ast.InternedTerm(true) }, 190_000},
	} {
		for _, n := range []int{60, 300, 1900, 20_000, m.most} {
			if n <= m.most && n <= 1_000_000/slower {
				add(fmt.Sprintf("%d %s", n, m.name), array(n, m.member))
			}
		}
	}
	date := ast.NumberTerm("1650000000000000000")
	add("a date in a long layout", ast.ArrayTerm(date, ast.StringTerm("UTC"), ast.StringTerm(filled("2006"))))
	add("a date in a place that is not", ast.ArrayTerm(date, ast.StringTerm(filled("a/"))))
	return append(all, worstCollections(almost, nested)...)
}

func worstCollections(almost func(int) *ast.Term, nested *ast.Term) []value {
	pair := func(i int) *ast.Term { return ast.ArrayTerm(ast.IntNumberTerm(i), ast.IntNumberTerm(-i)) } // all have one hash
	under := func(v *ast.Term) *ast.Term {
		return object(1, func(int) *ast.Term { return ast.StringTerm("a") }, func(int) *ast.Term { return v })
	}
	return []value{
		{"set of 40000 integers", set(40_000, numbered("%d"))},
		{"set of 100000 texts", set(100_000, textTerm)},
		{"set of exponents", set(60, numbered("%de300"))},
		{"set of fractions", set(1500, numbered("0.%d"))},
		{"set of pairs", set(1500, pair)},
		{"set of long texts", set(100, almost)},
		{"set of sets", set(200, func(i int) *ast.Term { return set(200, func(j int) *ast.Term { return ast.IntNumberTerm(i + j) }) })},
		{"object of 30000 texts", object(30_000, textTerm, oneTerm)},
		{"object of 60000 texts", object(60_000, textTerm, oneTerm)},
		{"object of long texts", object(100, almost, almost)},
		{"object of exponents", object(60, numbered("%de300"), numbered("%de300"))},
		{"object of pairs", object(1500, pair, oneTerm)},
		{"deep object", nested},
		{"object of an array", under(array(90_000, oneTerm))},
		{"object of an object", under(object(30_000, textTerm, oneTerm))},
		{"object of objects", object(200, textTerm, func(int) *ast.Term { return object(100, textTerm, oneTerm) })},
	}
}
