package main

import (
	"fmt"
	"slices"
	"time"
)

// contestant is a server under load.
type contestant struct {
	name     string
	address  string
	pid      int
	requests [][]byte
}

// window is what was seen of a contestant for a short while.
type window struct {
	perSecond float64
	p50, p99  float64 // ms
	server    float64 // CPU of the server, µs for one request
	postgres  float64 // CPU of Postgres, µs for one request
}

func (w window) cpu() float64 { return w.server + w.postgres }

// watch runs one window: first a while that is not counted, for connections and
// statements to be there, then the window itself.
func watch(c contestant, d *database, o options, length time.Duration) (window, error) {
	l, err := newLoad(c.address, o.clients, c.requests)
	if err != nil {
		return window{}, fmt.Errorf("%s: %w", c.name, err)
	}
	defer l.close()
	if _, err := l.run(o.settle); err != nil {
		return window{}, fmt.Errorf("%s: %w", c.name, err)
	}
	server, postgres, err := usage(c, d)
	if err != nil {
		return window{}, err
	}
	begin := time.Now()
	taken, err := l.run(length)
	lasted := time.Since(begin)
	if err != nil {
		return window{}, fmt.Errorf("%s: %w", c.name, err)
	}
	serverAfter, postgresAfter, err := usage(c, d)
	if err != nil {
		return window{}, err
	}
	if err := l.drain(); err != nil {
		return window{}, fmt.Errorf("%s: %w", c.name, err)
	}
	if len(taken) == 0 {
		return window{}, fmt.Errorf("%s answered nothing in a window of %s", c.name, length)
	}
	slices.Sort(taken)
	n := float64(len(taken))
	return window{
		perSecond: n / lasted.Seconds(),
		p50:       milliseconds(quantile(taken, 0.5)),
		p99:       milliseconds(quantile(taken, 0.99)),
		server:    float64((serverAfter - server).Microseconds()) / n,
		postgres:  float64((postgresAfter - postgres).Microseconds()) / n,
	}, nil
}

func usage(c contestant, d *database) (server, postgres time.Duration, err error) {
	if server, err = cpuOf(c.pid); err != nil {
		return 0, 0, fmt.Errorf("CPU of %s: %w", c.name, err)
	}
	if postgres, err = d.cpu(); err != nil {
		return 0, 0, fmt.Errorf("CPU of Postgres: %w", err)
	}
	return server, postgres, nil
}

// quantile of sorted durations: the smallest that at least a share q is not
// above.
func quantile(sorted []time.Duration, q float64) time.Duration {
	at := int(q*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median of any numbers; of an even count the mean of the middle two.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// medians are those of each figure of the windows, one by one.
func medians(windows []window) window {
	of := func(figure func(window) float64) float64 {
		values := make([]float64, len(windows))
		for i, w := range windows {
			values[i] = figure(w)
		}
		return median(values)
	}
	return window{
		perSecond: of(func(w window) float64 { return w.perSecond }),
		p50:       of(func(w window) float64 { return w.p50 }),
		p99:       of(func(w window) float64 { return w.p99 }),
		server:    of(func(w window) float64 { return w.server }),
		postgres:  of(func(w window) float64 { return w.postgres }),
	}
}

// row is a query's result: each window of ours set against the floor's beside it.
type row struct {
	query
	floor, ours window  // medians
	ratio       float64 // ours ÷ floor, requests per second
	cpu         float64 // ours ÷ floor, CPU per request of server and Postgres
	relation    float64 // what the query costs the floor, as a multiple of its Q1 at the same time
}

func newRow(q query, floors, ours []window) row {
	r := row{query: q, floor: medians(floors), ours: medians(ours)}
	ratios, cpus := make([]float64, len(ours)), make([]float64, len(ours))
	for i := range ours {
		ratios[i] = share(ours[i].perSecond, floors[i].perSecond)
		cpus[i] = share(ours[i].cpu(), floors[i].cpu())
	}
	r.ratio, r.cpu = median(ratios), median(cpus)
	return r
}

// share is a ÷ b; nothing of nothing is nothing.
func share(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
