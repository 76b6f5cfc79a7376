package worker_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A worker that could not renew its leases, because Postgres was away, still has the
// runs: only what it does not hold any more, or another should hold, is delivered again.
func TestAWorkerTakesNothingOverThatItHolds(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p := setup(t, func(delivery) (int, string) { return 200, done }, map[string]string{"count": ""})
	conn := must(pgx.Connect(ctx, p.control))(t)
	t.Cleanup(func() { conn.Close(ctx) })
	id := p.queue(p.shop, user("user", "1"), "count", 1)
	one, other := uuid.NewString(), uuid.NewString()
	for name, c := range map[string]struct {
		asks  string
		holds []string
		taken int64
	}{
		"its own, which it holds":   {one, []string{id}, 0},
		"its own, which it lost":    {one, nil, 1},
		"another's":                 {other, nil, 1},
		"another's, which it holds": {other, []string{id}, 1},
	} {
		if claimed, err := p.store.ClaimRuns(ctx, one, map[string]int{p.shop: 1}); err != nil || len(claimed) != 1 {
			t.Fatalf("%s: claimed %v, %v", name, claimed, err)
		}
		if taken, err := p.store.TakeOverRuns(ctx, other, nil); err != nil || taken != 0 {
			t.Errorf("%s: %d with a lease were taken over, %v", name, taken, err)
		}
		if _, err := conn.Exec(ctx, "UPDATE tenantry.action_runs SET lease_until = now() - interval '1 second'"); err != nil {
			t.Fatal(err)
		}
		if taken, err := p.store.TakeOverRuns(ctx, c.asks, c.holds); err != nil || taken != c.taken {
			t.Errorf("%s: %d were taken over, %v; expected %d", name, taken, err, c.taken)
		}
		if c.taken == 0 {
			if err := p.store.ReleaseRuns(ctx, one, id); err != nil {
				t.Fatal(err)
			}
		}
	}
}
