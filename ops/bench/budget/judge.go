package main

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// allowed is how much more than the baseline may be allocated, as a factor.
const allowed = 1.10

// allocation is what one run of a benchmark's body allocates.
type allocation struct{ bytes, count float64 }

// processors is the number that the go command appends to a benchmark's name.
var processors = regexp.MustCompile(`-\d+$`)

// parse reads Go's benchmark lines by package and name; of several runs the least
// counts, because what disturbs a run only adds.
func parse(text []byte) (map[string]allocation, error) {
	out := map[string]allocation{}
	pkg := ""
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "pkg: "); ok {
			pkg = strings.TrimSpace(name)
		}
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		found, err := readLine(fields)
		if err != nil {
			return nil, fmt.Errorf("%w in %q", err, strings.TrimSpace(line))
		}
		name := pkg + " " + processors.ReplaceAllString(fields[0], "")
		if least, ok := out[name]; ok {
			found.bytes, found.count = min(found.bytes, least.bytes), min(found.count, least.count)
		}
		out[name] = found
	}
	if len(out) == 0 {
		return nil, errors.New("no benchmarks found")
	}
	return out, nil
}

// readLine reads the fields of one line: name, runs, then values with units.
func readLine(fields []string) (allocation, error) {
	a := allocation{-1, -1}
	for i := 2; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return a, fmt.Errorf("%q is no number", fields[i])
		}
		switch fields[i+1] {
		case "B/op":
			a.bytes = value
		case "allocs/op":
			a.count = value
		}
	}
	if a.bytes < 0 || a.count < 0 {
		return a, errors.New("no allocations")
	}
	return a, nil
}

// judge names every benchmark that allocates too much, and those that only one
// side has.
func judge(was, now map[string]allocation) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if _, ok := now[name]; !ok {
			out = append(out, name+": gone, but in the baseline")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		before, ok := was[name]
		if !ok {
			out = append(out, name+": not in the baseline")
			continue
		}
		for _, figure := range []struct {
			unit        string
			before, now float64
		}{{"allocs/op", before.count, now[name].count}, {"B/op", before.bytes, now[name].bytes}} {
			if figure.now > figure.before*allowed {
				out = append(out, fmt.Sprintf("%s: %.0f %s, the baseline has %.0f", name, figure.now, figure.unit, figure.before))
			}
		}
	}
	return out
}
