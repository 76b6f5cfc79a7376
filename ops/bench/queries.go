package main

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

//go:embed queries.graphql
var queriesText string

// query is one of the set, with what it has to reach.
type query struct {
	name  string
	floor string // route of the floor
	// plain is the route whose cost the reference table has, where that is another.
	plain string
	most  int64 // ids are 1 to most
	// cost is what the floor's server and Postgres use for one request on the
	// machine of the reference table, in microseconds. Only the relations of the
	// queries to each other count.
	cost float64
	// ratio is the least share of the floor's requests per second; cpu the most
	// CPU per request, as a multiple of the floor's; peer the least multiple of
	// the peer's requests per second, 0 for none.
	ratio, cpu, peer float64
}

// reference is the route of the floor that the reference table tells of.
func (q query) reference() string { return cmp.Or(q.plain, q.floor) }

// queries are the set in the order of the table.
var queries = []query{
	{name: "Q1", floor: "q1", most: 10000, cost: 183, ratio: 0.85, cpu: 1.25, peer: 3},
	{name: "Q2", floor: "q2", most: 99000, cost: 330, ratio: 0.90, cpu: 1.15, peer: 3},
	{name: "Q3", floor: "q3", most: 9990, cost: 1545, ratio: 0.90, cpu: 1.15, peer: 1.6},
	{name: "Q4", floor: "q4", most: 199900, cost: 452, ratio: 0.90, cpu: 1.15, peer: 3},
	{name: "Q5", floor: "q5", most: 20000, cost: 257, ratio: 0.90, cpu: 1.15, peer: 3},
	{name: "Q6", floor: "q6", most: 20000, cost: 325, ratio: 0.85, cpu: 1.25, peer: 3},
	{name: "Q7", floor: "q7", most: 200000, cost: 431, ratio: 0.90, cpu: 1.15, peer: 1.6},
	{name: "Q8", floor: "q8", most: 199900, cost: 1325, ratio: 1.15, cpu: 1.15, peer: 3},
	{name: "Q9", floor: "q9", plain: "q9plain", most: 200000, cost: 248, ratio: 0.75, cpu: 1.4},
}

// Targets of the program as a whole.
const (
	mostMemory = 96    // MiB resident under this load
	mostStart  = 150.0 // ms from the start of serve to the first answer
)

// chooseQueries reads a list of names; empty is all.
func chooseQueries(list string) ([]query, error) {
	if list == "" {
		return queries, nil
	}
	var out []query
	for name := range strings.SplitSeq(list, ",") {
		q, ok := queryByName(strings.ToUpper(strings.TrimSpace(name)))
		if !ok {
			return nil, fmt.Errorf("unknown query %q: expected Q1 to Q9", name)
		}
		out = append(out, q)
	}
	return out, nil
}

func queryByName(name string) (query, bool) {
	for _, q := range queries {
		if q.name == name {
			return q, true
		}
	}
	return query{}, false
}

var operationName = regexp.MustCompile(`^(?:query|mutation) (Q\d)\b`)

// operations are the texts of a set of queries by name.
func operations(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := operationName.FindStringSubmatch(line); m != nil {
			out[m[1]] = line
		}
	}
	return out
}

// ids spreads n ids over 1 … most, in an order without a pattern and the same
// in every run.
func (q query) ids(n, scale int) []int64 {
	most := max(q.most/int64(scale), 1)
	out := make([]int64, n)
	for i := range out {
		out[i] = 1 + int64(uint64(i+1)*0x9E3779B97F4A7C15>>20)%most
	}
	return out
}

// variables of an operation for an id; Q6 has none, its id is the user's.
func (q query) variables(id int64) map[string]any {
	switch q.name {
	case "Q6":
		return nil
	case "Q7":
		return map[string]any{"id": id, "user": id%20000 + 1, "body": "bench comment " + strconv.FormatInt(id, 10)}
	}
	return map[string]any{"id": id}
}

// role is whose permissions hold: a user sees only their own orders, a clerk those
// of all.
func (q query) role() string {
	if q.name == "Q5" {
		return "clerk"
	}
	return "user"
}

// graphql is the body of a GraphQL request for an id.
func (q query) graphql(text string, id int64) string {
	body, err := json.Marshal(struct {
		Query     string         `json:"query"`
		Variables map[string]any `json:"variables,omitempty"`
	}{text, q.variables(id)})
	if err != nil {
		panic(err) // texts and numbers
	}
	return string(body)
}

// request is one HTTP/1.1 request as bytes.
func request(method, path, body string, headers ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: bench\r\n", method, path)
	for i := 0; i+1 < len(headers); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", headers[i], headers[i+1])
	}
	if body != "" || method == "POST" {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	return []byte(b.String() + "\r\n" + body)
}

// floorRequest asks the floor for a query, by the route given.
func (q query) floorRequest(route string, id int64) []byte {
	path := fmt.Sprintf("/%s?id=%d", route, id)
	switch q.name {
	case "Q6":
		return request("GET", path, "", "X-Hasura-User-Id", strconv.FormatInt(id, 10))
	case "Q7":
		return request("POST", path, "")
	}
	return request("GET", path, "")
}
