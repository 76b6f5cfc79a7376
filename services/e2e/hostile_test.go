package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hostileCPU is what a hostile request may cost the server: CPU time, which a
// busy machine does not change.
const hostileCPU = 200 * time.Millisecond

// hostileFactor is more than 1 for a program under the race detector.
var hostileFactor = 1

// cpu is the CPU time that the server's process has used, in ticks of 10 ms.
func (s *server) cpu(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	// What follows the name, which may hold anything but ends with the last ")".
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// doubled is a document of a few hundred bytes that selects 2^n fields.
func doubled(n int) string {
	var b strings.Builder
	b.WriteString("{ products { ...f0 } }")
	for i := range n {
		fmt.Fprintf(&b, " fragment f%d on products { a: order_items { product { ...f%d } } b: order_items { product { ...f%d } } }", i, i+1, i+1)
	}
	fmt.Fprintf(&b, " fragment f%d on products { id }", n)
	return b.String()
}

// Not parallel: the CPU time is that of the whole process.
func TestAHostileRequestIsRefusedInLittleTime(t *testing.T) {
	s := startDev(t, dataDir(t))
	admin := headers{"X-Hasura-Admin-Secret": s.Demo.Project.AdminSecret}
	aliases := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "a%d: products { id } ", i)
		}
		return "{" + b.String() + "}"
	}
	batch := func(n int, query string) []map[string]string {
		out := make([]map[string]string, n)
		for i := range out {
			out[i] = map[string]string{"query": query}
		}
		return out
	}
	one := func(query string) map[string]string { return map[string]string{"query": query} }
	node := func(selection string) map[string]string { return one(`{ node(id: "x") {` + selection + "} }") }
	for name, c := range map[string]struct {
		path string
		body any
	}{
		"fragments that double":         {"/v1/graphql", one(doubled(40))},
		"overlapping fields":            {"/v1/graphql", one("{" + strings.Repeat(" products(limit: 1) { id }", 1500) + " products(limit: 2) { id } }")},
		"overlapping fields, nested":    {"/v1/graphql", one("{ products {" + strings.Repeat(" order_items { product { order_items { quantity } } }", 1200) + " order_items { nope } } }")},
		"a megabyte of fields":          {"/v1/graphql", one("{" + strings.Repeat("a ", 1<<19-100) + "}")},
		"a megabyte of brackets":        {"/v1/graphql", one("{ products(where: " + strings.Repeat("[", 1<<20-200))},
		"more than a megabyte":          {"/v1/graphql", one(strings.Repeat(" ", 1<<20))},
		"a megabyte of JSON":            {"/v1/graphql", strings.Repeat("[", 1<<20-1)},
		"ten thousand aliases":          {"/v1/graphql", one(aliases(10_000))},
		"deep nesting":                  {"/v1/graphql", one("{ products " + strings.Repeat("{ order_items { product ", 5000))},
		"a batch of a thousand":         {"/v1/graphql", batch(1000, "{ __typename }")},
		"a batch of doubled fragments":  {"/v1/graphql", batch(1000, doubled(8))},
		"a fragment cycle":              {"/v1/graphql", one("{ products { ...a } } fragment a on products { order_items { product { ...a ...a } } }")},
		"fragments that double, a node": {"/v1beta1/relay", one(strings.Replace(doubled(40), "{ products {", `{ node(id: "x") {`, 1))},
		"thousands of types, a node":    {"/v1beta1/relay", node(strings.Repeat(" ... on products { id } ... on orders { id }", 1200) + " ... on nope { id }")},
		"fields of no type, a node":     {"/v1beta1/relay", node(strings.Repeat(" id", 14000) + " nope")},
	} {
		t.Run(name, func(t *testing.T) {
			url := strings.TrimSuffix(s.Demo.Project.GraphQLURL, "/v1/graphql") + c.path
			before := s.cpu(t)
			a := send(t, http.MethodPost, url, admin.with("Accept", "application/graphql-response+json"), c.body)
			spent := s.cpu(t) - before
			if a.Status < 400 || a.Status >= 500 || a.at("errors", 0, "message") == nil || a.at("data") != nil {
				t.Errorf("%d %.300s", a.Status, a.Text)
			}
			t.Logf("%v: %.150s", spent, a.Text)
			allowed := time.Duration(hostileFactor) * hostileCPU
			if spent > allowed {
				t.Errorf("cost %v of CPU, at most %v are allowed", spent, allowed)
			}
		})
	}
}
