package operation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tenantry/ops/timetest"
	"tenantry/services/engine/operation"
)

// maxCPU is what one hostile document may cost, in CPU time of the process.
const maxCPU = 200 * time.Millisecond

// Not parallel: CPU time is counted for the whole process.
func TestHostileDocumentsCostLittle(t *testing.T) {
	s := shop(t, "manager")
	for name, c := range map[string]struct {
		query   string
		refused bool
	}{
		"fragments that double":            {doubling(40), true},
		"fragments that double by aliases": {`{ customers { ` + strings.Repeat("a: orders { customer { b: orders { customer { ", 30) + "id" + strings.Repeat(" } } } }", 30) + " } }", false},
		"one key thousands of times":       {"{ customers {" + strings.Repeat(" id", 14000) + "} }", false},
		"one object thousands of times":    {"{" + strings.Repeat(" customers { id }", 3500) + "}", false},
		"equal large arguments":            {"{" + strings.Repeat(` customers(where: {_or: [`+strings.Repeat(`{name: {_eq: "a"}}`, 40)+`]}) { id }`, 40) + "}", false},
		"overlapping fields, nested":       {"{" + strings.Repeat(" customers { orders { customer { orders { id } } } }", 1000) + "}", false},
		"fragments that chain":             {chain(1000), true},
		"a fragment cycle":                 {`{ customers { ...a } } fragment a on customers { orders { customer { ...a ...a ...a } } }`, true},
		"deep nesting":                     {"{ customers " + strings.Repeat("{ orders { customer ", 450) + "{ id }" + strings.Repeat(" } }", 450) + " }", false},
		"deeper than the parser goes":      {"{ customers " + strings.Repeat("{ orders { customer ", 2000) + "{ id }" + strings.Repeat(" } }", 2000) + " }", true},
		"deep lists in an argument":        {"{ customers(where: " + strings.Repeat("[", 100000) + ") { id } }", true},
		"a megabyte of one string":         {`{ customers(where: {name: {_eq: "` + strings.Repeat("x", operation.MaxBytes-100) + `"}}) { id } }`, false},
		"a megabyte of comments":           {"{ customers { id } }" + strings.Repeat("\n#", operation.MaxBytes/2-100), true},
		"a megabyte of fields":             {"{" + strings.Repeat("a ", operation.MaxBytes/2-10) + "}", true},
		"a misspelt field in every place":  {"{ customers {" + strings.Repeat(" idd", 10000) + "} }", true},
		"aliases":                          {"{" + many(4000, "a%d: customers { id }") + "}", true},
		"directives":                       {"{ customers { id" + strings.Repeat(" @skip(if: true)", 2000) + "} }", true},
		"many variables":                   {"query(" + many(3000, "$v%d: Int ") + ") { customers { id } }", false},
		"introspection of everything":      {"{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }", true},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			most := timetest.Slowed(maxCPU, 10)
			spent := timetest.Least(most, func(int) time.Duration {
				before := timetest.CPU(t)
				_, err = operation.Prepare(s, c.query, "")
				return timetest.CPU(t) - before
			})
			if (err != nil) != c.refused {
				t.Errorf("refused: %v (%v), want %v", err != nil, err, c.refused)
			}
			t.Logf("%v, %v", spent, err)
			if spent > most {
				t.Errorf("cost %v of CPU, at most %v are allowed", spent, most)
			}
		})
	}
}

// doubling selects 2^n fields in n fragments.
func doubling(n int) string {
	var b strings.Builder
	b.WriteString("{ customers { ...f0 } }")
	for i := range n {
		fmt.Fprintf(&b, " fragment f%d on customers { orders { customer { ...f%d } } b: orders { customer { ...f%d } } }", i, i+1, i+1)
	}
	fmt.Fprintf(&b, " fragment f%d on customers { id }", n)
	return b.String()
}

// chain is n fragments, each spreading the next.
func chain(n int) string {
	var b strings.Builder
	b.WriteString("{ customers { ...f0 } }")
	for i := range n {
		fmt.Fprintf(&b, " fragment f%d on customers { id ...f%d }", i, i+1)
	}
	fmt.Fprintf(&b, " fragment f%d on customers { id }", n)
	return b.String()
}
