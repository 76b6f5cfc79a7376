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

// chooseClients looks for the fewest connections with which the floor's queries cost,
// relative to its Q1, what they cost in the reference table; where none do, for those
// with which they are nearest to it. How much of a small query is switching between
// processes depends on the machine and on how many requests wait at once; a table with
// other relations is of another workload.
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
		if least < likeReference {
			break
		}
	}
	b.clients = best
	b.say("%d connections: with these the floor is at most %.0f %% from the reference", best, 100*least)
	return nil
}

// likeReference is the distance within which the floor is like the reference: less than
// the tolerance, which it must keep for the rest of the run.
const likeReference = 0.85 * tolerance

// distance is how far the floor is from the reference table: that of the query which is
// farthest, as a share of what it should cost.
func distance(measured costs) float64 {
	one, _ := queryByName("Q1")
	worst := 0.0
	for name, cost := range measured {
		q, _ := queryByName(name)
		worst = max(worst, math.Abs(cost/measured["Q1"]*one.cost/q.cost-1))
	}
	return worst
}
