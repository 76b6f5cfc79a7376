package main

import (
	"fmt"
	"math"
	"strings"
)

// tolerance is how far the floor's CPU per request may be from the reference
// table, each relative to Q1.
const tolerance = 0.30

// costs are the floor's CPU per request by query, in microseconds.
type costs map[string]float64

// suspect compares the floor with the reference table and tells of each query
// that is too far from it. A floor that is slow, or fast, somewhere is not the one
// that the targets were set for, and a ratio to it proves nothing.
func suspect(measured costs) []string {
	one, ok := measured["Q1"]
	reference, _ := queryByName("Q1")
	if !ok || one <= 0 {
		return []string{"the floor's Q1 was not measured"}
	}
	var out []string
	for _, q := range queries {
		cost, ok := measured[q.name]
		if !ok {
			continue
		}
		got, want := cost/one, q.cost/reference.cost
		if off := got/want - 1; math.Abs(off) > tolerance {
			out = append(out, fmt.Sprintf("%s costs the floor %.0f µs, %.2f times its Q1; the reference is %.2f times: %+.0f %%, allowed are ±%.0f %%",
				q.name, cost, got, want, 100*off, 100*tolerance))
		}
	}
	return out
}

// refusal is nil when nothing is suspect.
func refusal(suspicions []string) error {
	if len(suspicions) == 0 {
		return nil
	}
	return fmt.Errorf("%w, because the floor's CPU per request is not that of the reference table:\n  %s\nSomething else is probably using this machine; run it again when it is quiet",
		errRefused, strings.Join(suspicions, "\n  "))
}
