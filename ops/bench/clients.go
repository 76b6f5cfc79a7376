package main

import (
	"context"
	"math"
	"time"
)

// fewClients is how many connections there are where nothing is compared with the
// reference table.
const fewClients = 8

// peerClients is how many there are beside PostGraphile: twice the pool of both, so
// that neither waits for clients.
const peerClients = 16

// chooseClients looks for the number of connections with which the floor's
// queries cost, relative to its Q1, what they cost in the reference table. How much
// of a small query is switching between processes depends on the machine and on
// how many requests wait at once; a table with other relations is of another
// workload.
func (b *bench) chooseClients(ctx context.Context) error {
	if b.clients > 0 {
		return nil
	}
	var telling []query
	for _, name := range []string{"Q2", "Q3", "Q5", "Q8"} {
		q, _ := queryByName(name)
		telling = append(telling, q)
	}
	best, least := 0, math.Inf(1)
	for _, n := range []int{1, 2, 3, 4, 6, 8, 16, 64} {
		b.clients = n
		measured, err := b.floorCosts(ctx, telling, 5, 250*time.Millisecond)
		if err != nil {
			return err
		}
		if off := distance(measured); off < least {
			best, least = n, off
		}
	}
	b.clients = best
	b.say("%d connections: with these the floor is most like the reference", best)
	return nil
}

// distance is how far the floor is from the reference table, 0 for not at all: the
// largest of the queries' logarithms.
func distance(measured costs) float64 {
	one, _ := queryByName("Q1")
	worst := 0.0
	for name, cost := range measured {
		q, _ := queryByName(name)
		worst = max(worst, math.Abs(math.Log(cost/measured["Q1"]*one.cost/q.cost)))
	}
	return worst
}
