package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// starts is how often the start of the program is measured.
const starts = 5

// report prints the table and judges it by the targets.
func (b *bench) report(ctx context.Context, rows []row) error {
	memory, err := peakMemory(b.ours.pid())
	if err != nil {
		return err
	}
	start, err := b.timeStart(ctx)
	if err != nil {
		return err
	}
	cells := make([][]string, len(rows))
	measured := costs{}
	var judged []outcome
	for i, r := range rows {
		cells[i] = r.cells()
		measured[r.name] = r.floor.cpu()
		judged = append(judged, r.judge()...)
	}
	judged = append(judged, whole(memory, start)...)
	text := table(columns, cells)
	fmt.Print(text)
	rowsText, err := b.floorRows()
	if err != nil {
		return err
	}
	fmt.Printf("\n%speak resident memory %.1f MiB\nserve to first answer %.0f ms\n", rowsText, memory, start)
	fmt.Printf("requests are signed in with JWTs, cached; roles user (Q1–Q4, Q6–Q9; row filter on orders) and clerk (Q5)\n\n")
	fmt.Print(b.floorTable(rows))
	fmt.Println()
	for _, o := range judged {
		fmt.Println(o)
	}
	if _, ok := measured["Q1"]; ok {
		if err := b.accept(measured); err != nil {
			return err
		}
	}
	if b.check && slices.ContainsFunc(judged, func(o outcome) bool { return !o.met }) {
		return errMissed
	}
	return nil
}

// timeStart is the median of several starts, in milliseconds.
func (b *bench) timeStart(ctx context.Context) (float64, error) {
	one, _ := queryByName("Q1")
	var taken []float64
	for range starts {
		d, err := b.ours.firstAnswer(ctx, one, b.texts[one.name])
		if err != nil {
			return 0, fmt.Errorf("the start: %w", err)
		}
		taken = append(taken, milliseconds(d))
	}
	return median(taken), nil
}

// floorRows tells what the floor reaches with Q8 as plain rows: information.
func (b *bench) floorRows() (string, error) {
	if !slices.ContainsFunc(b.only, func(q query) bool { return q.name == "Q8" }) {
		return "", nil
	}
	q, _ := queryByName("Q8")
	var text strings.Builder
	for _, route := range []string{"q8", "q8rows", "q8text"} {
		var seen []window
		for range 3 {
			w, err := watch(b.floorContestant(q, route), b.database, b.options, b.window/2)
			if err != nil {
				return "", err
			}
			seen = append(seen, w)
		}
		m := medians(seen)
		fmt.Fprintf(&text, "floor's %-6s %.0f req/s, CPU server %.0f µs, CPU Postgres %.0f µs\n", route, m.perSecond, m.server, m.postgres)
	}
	return text.String(), nil
}

// floorTable shows the floor beside the reference table.
func (b *bench) floorTable(rows []row) string {
	one := slices.IndexFunc(rows, func(r row) bool { return r.name == "Q1" })
	var cells [][]string
	for _, r := range rows {
		relative := "-"
		if one >= 0 {
			relative = fmt.Sprintf("%.2f", share(r.floor.cpu(), rows[one].floor.cpu()))
		}
		cells = append(cells, []string{
			r.floorRoute(), fmt.Sprintf("%.3f", r.floor.p50), fmt.Sprintf("%.3f", r.floor.p99), fmt.Sprintf("%.0f", r.floor.server),
			fmt.Sprintf("%.0f", r.floor.postgres), relative, fmt.Sprintf("%.2f", r.cost/queries[0].cost),
		})
	}
	return table([]string{"floor", "p50 ms", "p99 ms", "CPU server µs", "CPU Postgres µs", "CPU ÷ Q1", "reference"}, cells)
}

// floorRoute is the floor's name of the query.
func (r row) floorRoute() string { return r.query.floor }
