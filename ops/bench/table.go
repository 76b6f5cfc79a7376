package main

import (
	"fmt"
	"strings"
)

// columns of the table, in order.
var columns = []string{"query", "floor req/s", "ours req/s", "p50 ms", "p99 ms", "CPU server µs", "CPU Postgres µs", "CPU ratio", "ratio"}

func (r row) cells() []string {
	return []string{
		r.name, fmt.Sprintf("%.0f", r.floor.perSecond), fmt.Sprintf("%.0f", r.ours.perSecond),
		fmt.Sprintf("%.3f", r.ours.p50), fmt.Sprintf("%.3f", r.ours.p99),
		fmt.Sprintf("%.0f", r.ours.server), fmt.Sprintf("%.0f", r.ours.postgres),
		fmt.Sprintf("%.2f", r.cpu), fmt.Sprintf("%.2f", r.ratio),
	}
}

// table renders rows of cells with a header; the first column is left-aligned.
func table(header []string, rows [][]string) string {
	widths := make([]int, len(header))
	for _, cells := range append([][]string{header}, rows...) {
		for i, cell := range cells {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var b strings.Builder
	for _, cells := range append([][]string{header}, rows...) {
		for i, cell := range cells {
			padding := strings.Repeat(" ", widths[i]-len([]rune(cell)))
			if i == 0 {
				b.WriteString(cell + padding)
			} else {
				b.WriteString("  " + padding + cell)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// outcome is a target and what came of it.
type outcome struct {
	text string
	met  bool
}

func (o outcome) String() string {
	if o.met {
		return "met     " + o.text
	}
	return "MISSED  " + o.text
}

// sentence is for text that is not a list of marks.
func (o outcome) sentence() string {
	if o.met {
		return o.text + ": met"
	}
	return o.text + ": **missed**"
}

// judge compares a row with its targets. What is compared is what the table
// shows, so that a mark never contradicts it.
func (r row) judge() []outcome {
	ratio, cpu := rounded(r.ratio), rounded(r.cpu)
	return []outcome{
		{fmt.Sprintf("%s ratio %.2f, at least %.2f", r.name, ratio, r.query.ratio), ratio >= r.query.ratio},
		{fmt.Sprintf("%s CPU ratio %.2f, at most %.2f", r.name, cpu, r.query.cpu), cpu <= r.query.cpu},
	}
}

func rounded(v float64) float64 { return float64(int(v*100+0.5)) / 100 }

// whole are the targets of the program as a whole.
func whole(memory, start float64) []outcome {
	return []outcome{
		{fmt.Sprintf("peak resident memory %.0f MiB, at most %d", memory, mostMemory), memory <= mostMemory},
		{fmt.Sprintf("serve to first answer %.0f ms, less than %.0f", start, mostStart), start < mostStart},
	}
}
