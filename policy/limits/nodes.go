package limits

import (
	"context"
	_ "embed"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

const (
	heartbeat = 5 * time.Second
	// heardOf is how long a node counts that is not heard of any more.
	heardOf = 30 * time.Second
)

//go:embed nodes.lua
var nodesText string

var nodesScript = redis.NewScript(nodesText)

// nodes counts those that share a store, so that each knows its share of what the
// platform grants while the store is out of reach.
type nodes struct {
	known atomic.Int64 // 0 until the store was reached
	stop  context.CancelFunc
	done  chan struct{}
}

// watch tells the store of this node until stop is called.
func (n *nodes) watch(client *redis.Client) {
	ctx, stop := context.WithCancel(context.Background())
	n.stop, n.done = stop, make(chan struct{})
	id := uuid.NewString()
	go func() {
		defer close(n.done)
		tick := time.NewTicker(heartbeat)
		defer tick.Stop()
		for {
			n.beat(ctx, client, id)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
}

func (n *nodes) beat(ctx context.Context, client *redis.Client, id string) {
	ctx, cancel := context.WithTimeout(ctx, sharedTime)
	defer cancel()
	count, err := nodesScript.Run(ctx, client, []string{"tenantry:nodes"}, id, int(heardOf.Seconds())).Int64()
	if err == nil && count > 0 {
		n.known.Store(count)
	}
}

// share is what this node may grant of a bound of the platform while the store is
// out of reach: all nodes together never grant more than the bound. One that has
// not reached the store since it began grants the least that there is.
func (n *nodes) share(b bound) bound {
	of := n.known.Load()
	if of == 0 {
		b.limit, b.burst = min(b.limit, 1), min(b.burst, 1)
		return b
	}
	b.limit, b.burst = max(b.limit/int(of), 1), max(b.burst/int(of), 1)
	return b
}
