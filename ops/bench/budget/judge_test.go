package main

import (
	"reflect"
	"testing"
)

const lines = `goos: linux
pkg: tenantry/a
cpu: some
BenchmarkParse/one-2         	     500	    154658 ns/op	    8959 B/op	     204 allocs/op
BenchmarkParse/one-2         	     500	     99999 ns/op	    8900 B/op	     205 allocs/op
PASS
pkg: tenantry/b
BenchmarkParse/one-16        	     500	      10.5 ns/op	  12.00 MB/s	       0 B/op	       0 allocs/op
ok  	tenantry/b	5.207s
`

func TestBenchmarksAreReadByPackageAndNameAndTheLeastCounts(t *testing.T) {
	t.Parallel()
	got, err := parse([]byte(lines))
	want := map[string]allocation{"tenantry/a BenchmarkParse/one": {8900, 204}, "tenantry/b BenchmarkParse/one": {0, 0}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for _, bad := range []string{"", "PASS\n", "BenchmarkX-2 500 10 ns/op\n", "BenchmarkX-2 500 ten ns/op 1 B/op 1 allocs/op\n"} {
		if _, err := parse([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestMoreThanTenPercentIsTooMuch(t *testing.T) {
	t.Parallel()
	was := map[string]allocation{"a": {1000, 10}, "b": {0, 0}}
	for _, c := range []struct {
		name string
		now  map[string]allocation
		want []string
	}{
		{"as before", was, nil},
		{"a little more", map[string]allocation{"a": {1100, 11}, "b": {0, 0}}, nil},
		{"less", map[string]allocation{"a": {1, 1}, "b": {0, 0}}, nil},
		{"bytes", map[string]allocation{"a": {1101, 10}, "b": {0, 0}}, []string{"a: 1101 B/op, the baseline has 1000"}},
		{"allocations", map[string]allocation{"a": {1000, 12}, "b": {0, 0}}, []string{"a: 12 allocs/op, the baseline has 10"}},
		{"from nothing", map[string]allocation{"a": {1000, 10}, "b": {16, 1}}, []string{"b: 1 allocs/op, the baseline has 0", "b: 16 B/op, the baseline has 0"}},
		{"other names", map[string]allocation{"a": {1000, 10}, "c": {0, 0}}, []string{"b: gone, but in the baseline", "c: not in the baseline"}},
	} {
		if got := judge(was, c.now); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
