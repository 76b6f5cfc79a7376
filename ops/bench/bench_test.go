package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTheStatOfAProcessIsReadWhateverItsName(t *testing.T) {
	t.Parallel()
	const rest = " S 77 1 1 0 -1 4194560 1 2 3 4 150 25 30 5 20 0 9 0 1234 5678 90"
	for _, name := range []string{"(tenantry)", "(postgres: a b)", "(odd) 1 2 3 (name)"} {
		got, err := parseStat([]byte("42 " + name + rest + "\n"))
		want := processTimes{parent: 77, own: 1750 * time.Millisecond, children: 350 * time.Millisecond}
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", name, got, err, want)
		}
	}
	for _, bad := range []string{"", "42 (x", "42 (x) S 1", "42 (x) S 77 1 1 0 -1 4194560 1 2 3 4 a 25 30 5 20"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestPeakMemoryIsInMiB(t *testing.T) {
	t.Parallel()
	got, err := parsePeak([]byte("Name:\tx\nVmPeak:\t  999999 kB\nVmHWM:\t   98304 kB\nVmRSS:\t 1 kB\n"))
	if err != nil || got != 96 {
		t.Errorf("got %v, %v; want 96", got, err)
	}
	if _, err := parsePeak([]byte("Name:\tx\n")); err == nil {
		t.Error("a status without VmHWM was read")
	}
}

func TestMediansAndQuantiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.values); got != c.want {
			t.Errorf("the median of %v is %v, want %v", c.values, got, c.want)
		}
	}
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := quantile(hundred, q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
}

func TestARatioIsTheMedianOverPairsNotOfMedians(t *testing.T) {
	t.Parallel()
	floors := []window{{perSecond: 100, server: 10, postgres: 10}, {perSecond: 10, server: 100, postgres: 100}, {perSecond: 100, server: 10, postgres: 10}}
	ours := []window{{perSecond: 90, server: 15, postgres: 15}, {perSecond: 9, server: 150, postgres: 150}, {perSecond: 20, server: 10, postgres: 10}}
	r := newRow(queries[0], floors, ours)
	if r.ratio != 0.9 || r.cpu != 1.5 {
		t.Errorf("got ratio %v and CPU ratio %v, want 0.9 and 1.5", r.ratio, r.cpu)
	}
}

// reference are the floor's costs on the machine of the reference table.
func reference() costs {
	out := costs{}
	for _, q := range queries {
		out[q.name] = q.cost
	}
	return out
}

func TestAFloorUnlikeTheReferenceIsRefused(t *testing.T) {
	t.Parallel()
	if found := suspect(reference()); len(found) != 0 {
		t.Errorf("the reference itself is suspect: %v", found)
	}
	faster := reference()
	for name := range faster {
		faster[name] /= 3 // another machine: the relations hold
	}
	faster["Q3"] *= 1.29
	if found := suspect(faster); len(found) != 0 {
		t.Errorf("29 %% off is suspect: %v", found)
	}
	for name, factor := range map[string]float64{"Q3": 1.32, "Q8": 0.68} {
		off := reference()
		off[name] *= factor
		err := refusal(suspect(off))
		if !errors.Is(err, errRefused) || strings.Count(err.Error(), " costs the floor ") != 1 || !strings.Contains(err.Error(), name+" costs") ||
			!strings.Contains(err.Error(), "32 %") {
			t.Errorf("%s × %v: %v", name, factor, err)
		}
	}
	slow := reference()
	slow["Q1"] *= 2 // everything else looks cheap beside it
	if found := suspect(slow); len(found) != len(queries)-1 {
		t.Errorf("a slow Q1: %v", found)
	}
	if err := refusal(suspect(costs{"Q3": 1})); !errors.Is(err, errRefused) {
		t.Errorf("without Q1: %v", err)
	}
}

func TestTheTableHasItsColumnsInOrder(t *testing.T) {
	t.Parallel()
	r := row{query: queries[0], ratio: 0.856, cpu: 1.2, floor: window{perSecond: 10000.4}, ours: window{perSecond: 8560, p50: 1.23456, p99: 14, server: 120.4, postgres: 91.6}}
	got := table(columns, [][]string{r.cells()})
	const want = "" +
		"query  floor req/s  ours req/s  p50 ms  p99 ms  CPU server µs  CPU Postgres µs  CPU ratio  ratio\n" +
		"Q1           10000        8560   1.235  14.000            120               92       1.20   0.86\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTargetsAreJudgedByWhatTheTableShows(t *testing.T) {
	t.Parallel()
	one := queries[0]
	for _, c := range []struct {
		ratio, cpu float64
		want       [2]bool
	}{{0.85, 1.25, [2]bool{true, true}}, {0.846, 1.254, [2]bool{true, true}}, {0.844, 1.256, [2]bool{false, false}}, {2, 0.5, [2]bool{true, true}}} {
		got := row{query: one, ratio: c.ratio, cpu: c.cpu}.judge()
		if got[0].met != c.want[0] || got[1].met != c.want[1] {
			t.Errorf("ratio %v, CPU %v: %v", c.ratio, c.cpu, got)
		}
	}
	if got := whole(96.1, 150); got[0].met || got[1].met {
		t.Errorf("too much memory and too slow a start: %v", got)
	}
}

func TestAResponseIsWholeWhenItsLengthIsThere(t *testing.T) {
	t.Parallel()
	const whole = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 4\r\nX: y\r\n\r\nbody"
	for n := range len(whole) {
		want := len(whole)
		if n < strings.Index(whole, "body") {
			want = 0
		}
		if got, err := responseSize([]byte(whole[:n])); err != nil || got != want {
			t.Fatalf("after %d bytes: %d, %v; want %d", n, got, err, want)
		}
	}
	if got, err := responseSize(bytes.ToLower([]byte("http/1.1"))); got != 0 || err != nil {
		t.Errorf("half a header: %d, %v", got, err)
	}
	for _, bad := range []string{
		"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"errors\":[]}",
	} {
		if _, err := responseSize([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestBodiesAreComparedAsJSON(t *testing.T) {
	t.Parallel()
	one, seven := queries[0], queries[6]
	for _, c := range []struct {
		q         query
		got, want string
		same      bool
	}{
		{one, `{"data":{"a":1,"b":[2]}}`, `{"data": {"b": [2], "a": 1}}`, true},
		{one, `{"data":{"a":1.0}}`, `{"data":{"a":1}}`, false},
		{one, `{"data":{"a":[1,2]}}`, `{"data":{"a":[2,1]}}`, false},
		{seven, `{"data":{"insert_comments_one":{"id":1,"body":"x"}}}`, `{"data":{"insert_comments_one":{"id":2,"body":"x"}}}`, true},
		{seven, `{"data":{"insert_comments_one":{"id":1,"body":"x"}}}`, `{"data":{"insert_comments_one":{"id":2,"body":"y"}}}`, false},
	} {
		if same, err := sameAnswer(c.q, []byte(c.got), []byte(c.want)); err != nil || same != c.same {
			t.Errorf("%s and %s: %v, %v", c.got, c.want, same, err)
		}
	}
	if _, err := sameAnswer(seven, []byte(`{"data":{"insert_comments_one":{}}}`), []byte(`{}`)); err == nil {
		t.Error("an insert without an id passed")
	}
}

func TestTheSetIsWhole(t *testing.T) {
	t.Parallel()
	texts := operations(queriesText)
	for _, q := range queries {
		if texts[q.name] == "" {
			t.Errorf("%s has no operation", q.name)
		}
		seen := map[int64]bool{}
		for _, id := range q.ids(512, 1) {
			if id < 1 || id > q.most {
				t.Fatalf("%s: id %d is outside 1 … %d", q.name, id, q.most)
			}
			seen[id] = true
		}
		if len(seen) < 450 {
			t.Errorf("%s: only %d different ids", q.name, len(seen))
		}
	}
	if got := statements(dataset); len(got) < 20 || !strings.HasPrefix(got[0], "DROP TABLE") || !strings.HasPrefix(got[len(got)-1], "VACUUM") {
		t.Errorf("the data set has %d statements, from %.20s to %.20s", len(got), got[0], got[len(got)-1])
	}
	if small := scaled(dataset, 50); strings.Contains(small, "1000000)") || !strings.Contains(small, "generate_series(1, 20000)") || !strings.Contains(small, "'id'), 10000000)") {
		t.Error("the small data set is not small, or its sequence begins elsewhere")
	}
}

func TestUnknownQueriesAndCommandsAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-q", "Q10"}, {"fly"}, {"run", "extra"}, {"-pairs", "0"}} {
		if _, err := readOptions(args); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
	o, err := readOptions([]string{"run", "-q", "q3, Q1"})
	if err != nil || len(o.only) != 2 || o.only[0].name != "Q3" {
		t.Errorf("got %v, %v", o.only, err)
	}
}

func TestTheLastTableReplacesTheOneBefore(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	document := filepath.Join(folder, "performance.md")
	must(t, os.WriteFile(document, []byte("# Performance\n\n"+tableBegin+"\nold\n"+tableEnd+"\n\nafter\n"), 0o644))
	met := row{query: queries[0], ratio: 0.9, cpu: 1.1}
	missed := row{query: queries[7], ratio: 1.1, cpu: 1.1}
	for range 2 { // the second replaces the first
		must(t, keep(document, "2 × a machine", []row{met, missed}, whole(80, 200)))
	}
	text, err := os.ReadFile(document)
	must(t, err)
	const want = "# Performance\n\n" + tableBegin + "\n2 × a machine.\n\n" +
		"| query | floor req/s | ours req/s | p50 ms | p99 ms | CPU server µs | CPU Postgres µs | CPU ratio | ratio |\n" +
		"| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n" +
		"| Q1 | 0 | 0 | 0.000 | 0.000 | 0 | 0 | 1.10 | 0.90 |\n" +
		"| Q8 | 0 | 0 | 0.000 | 0.000 | 0 | 0 | 1.10 | 1.10 |\n\n![Requests per second as a share of the floor's](performance.svg)\n\n" +
		"- peak resident memory 80 MiB, at most 96: met\n- serve to first answer 200 ms, less than 150: **missed**\n- Q8 ratio 1.10, at least 1.15: **missed**\n" +
		tableEnd + "\n\nafter\n"
	if string(text) != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	svg, err := os.ReadFile(filepath.Join(folder, "performance.svg"))
	must(t, err)
	if err := xml.Unmarshal(svg, new(struct{ XMLName xml.Name })); err != nil || strings.Count(string(svg), "#d8833b") != 1 || !strings.Contains(string(svg), ">0.90<") {
		t.Errorf("%v in %s", err, svg)
	}
	must(t, os.WriteFile(document, []byte("# Performance\n"), 0o644))
	if err := keep(document, "", nil, nil); err == nil {
		t.Error("a document without a place for the table was written")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheDistanceToTheReferenceIsOfTheWorstQueryEitherWay(t *testing.T) {
	t.Parallel()
	if d := distance(reference()); d > 1e-9 {
		t.Errorf("the reference is %v from itself", d)
	}
	for factor, want := range map[float64]float64{0.5: 0.5, 2: 1} {
		off := reference()
		off["Q2"] *= 1.1
		off["Q8"] *= factor
		if d := distance(off); math.Abs(d-want) > 1e-9 {
			t.Errorf("Q8 × %v is %v away, want %v", factor, d, want)
		}
	}
}

func TestTheFloorIsJudgedByWhatStoodBesideEachQuery(t *testing.T) {
	t.Parallel()
	one, three, nine := row{query: queries[0], relation: 1.1}, row{query: queries[2], relation: 8.44}, row{query: queries[8], relation: 3}
	one.floor.server, three.floor.server = 100, 5000 // another moment of the machine
	measured := relations([]row{one, three, nine})
	if len(measured) != 2 || len(suspect(measured)) != 0 {
		t.Errorf("%v: %v", measured, suspect(measured))
	}
	three.relation = 12
	if found := suspect(relations([]row{one, three})); len(found) != 1 {
		t.Errorf("a Q3 of 12 times Q1: %v", found)
	}
}
