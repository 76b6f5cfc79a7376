package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// report prints the table, judges it by the targets and keeps it.
func (b *bench) report(ctx context.Context, rows []row) error {
	memory, err := peakMemory(b.ours.pid())
	if err != nil {
		return err
	}
	plain, err := b.plainRows()
	if err != nil {
		return err
	}
	var cells [][]string
	var judged []outcome
	measured := relations(rows)
	for _, r := range rows {
		cells = append(cells, r.cells())
		judged = append(judged, r.judge()...)
	}
	program := whole(memory, b.firstAnswer)
	fmt.Print(table(columns, cells), "\n", plain)
	fmt.Printf("peak resident memory %.1f MiB\nserve to first answer %.0f ms\n", memory, b.firstAnswer)
	fmt.Print("requests carry the JWT of a user or, in Q5, of a clerk; only users have a row filter on orders\n\n")
	fmt.Print(floorTable(rows), "\n")
	judged = append(judged, program...)
	for _, o := range judged {
		fmt.Println(o)
	}
	if _, ok := measured["Q1"]; ok && b.command != "smoke" { // without Q1 the look before the run has to do
		if err := b.accept(measured); err != nil {
			return err
		}
	}
	if b.document != "" && len(rows) == len(queries) && !b.force {
		if err := b.keep(ctx, rows, program); err != nil {
			return err
		}
	}
	if b.check && slices.ContainsFunc(judged, func(o outcome) bool { return !o.met }) {
		return errMissed
	}
	return nil
}

// relations are what the queries cost the floor, by what each cost beside Q1;
// without those whose reference is another route.
func relations(rows []row) costs {
	one := slices.IndexFunc(rows, func(r row) bool { return r.name == "Q1" })
	if one < 0 {
		return nil
	}
	out := costs{"Q1": rows[one].floor.cpu()}
	for _, r := range rows {
		if r.plain == "" && r.name != "Q1" {
			out[r.name] = r.relation * out["Q1"]
		}
	}
	return out
}

func (b *bench) keep(ctx context.Context, rows []row, program []outcome) error {
	version, err := b.database.version(ctx)
	if err != nil {
		return err
	}
	return keep(b.document, describeMachine(version), rows, program)
}

// timeStart is the median of several starts, in milliseconds.
func (b *bench) timeStart(ctx context.Context) (float64, error) {
	one := queries[0]
	var taken []float64
	for range b.starts {
		d, err := b.ours.firstAnswer(ctx, one, b.texts[one.name])
		if err != nil {
			return 0, fmt.Errorf("the start: %w", err)
		}
		taken = append(taken, milliseconds(d))
	}
	return median(taken), nil
}

// plainRows tells what the floor reaches with Q8 as plain rows, which it encodes
// itself: information only.
func (b *bench) plainRows() (string, error) {
	at := slices.IndexFunc(b.only, func(q query) bool { return q.name == "Q8" })
	if at < 0 {
		return "", nil
	}
	var text strings.Builder
	for _, route := range []string{"q8", "q8rows", "q8text"} {
		var seen []window
		for range 3 {
			w, err := watch(b.floorContestant(b.only[at], route), b.database, b.options, b.window/2)
			if err != nil {
				return "", err
			}
			seen = append(seen, w)
		}
		m := medians(seen)
		fmt.Fprintf(&text, "the floor's %-6s %.0f req/s, CPU server %.0f µs, CPU Postgres %.0f µs\n", route, m.perSecond, m.server, m.postgres)
	}
	return text.String(), nil
}

// floorTable shows the floor beside the reference table.
func floorTable(rows []row) string {
	var cells [][]string
	for _, r := range rows {
		cells = append(cells, []string{
			"floor " + r.query.floor, fmt.Sprintf("%.3f", r.floor.p50), fmt.Sprintf("%.3f", r.floor.p99), fmt.Sprintf("%.0f", r.floor.server),
			fmt.Sprintf("%.0f", r.floor.postgres), fmt.Sprintf("%.2f", r.relation), fmt.Sprintf("%.2f", r.cost/queries[0].cost),
		})
	}
	return table([]string{"floor", "p50 ms", "p99 ms", "CPU server µs", "CPU Postgres µs", "CPU ÷ Q1", "reference"}, cells)
}
