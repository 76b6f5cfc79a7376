package authn

import (
	"context"
	"sync"
	"time"
)

const (
	hookEntries  = 500         // in each of two generations
	hookEntry    = 8 << 10     // bytes of an answer that is kept
	hookNegative = time.Second // for how long a refusal is kept
)

// hookCache keeps what an authentication webhook answered for as long as it said,
// and lets equal requests that come at once share one call.
type hookCache struct {
	kept *cache[hookAnswer]

	mu      sync.Mutex
	flights map[cacheKey]*flight
}

// flight is a call under way.
type flight struct {
	done   chan struct{}
	answer hookAnswer
}

func newHookCache() *hookCache {
	return &hookCache{kept: newCache[hookAnswer](hookEntries), flights: map[cacheKey]*flight{}}
}

// do gives the answer to a request: a kept one, that of a call under way, or that
// of call, which runs to its end even if the client leaves, as others may wait for
// it. first tells that call was made for this request.
func (h *hookCache) do(ctx context.Context, key cacheKey, now func() time.Time, call func(context.Context) hookAnswer) (answer hookAnswer, first bool, err error) {
	if answer, ok := h.kept.get(key, now()); ok {
		return answer, false, nil
	}
	h.mu.Lock()
	f, running := h.flights[key]
	if !running {
		f = &flight{done: make(chan struct{})}
		h.flights[key] = f
		go h.fly(context.WithoutCancel(ctx), key, f, now, call)
	}
	h.mu.Unlock()
	select {
	case <-f.done:
		return f.answer, !running, nil
	case <-ctx.Done():
		return hookAnswer{}, false, ctx.Err()
	}
}

func (h *hookCache) fly(ctx context.Context, key cacheKey, f *flight, now func() time.Time, call func(context.Context) hookAnswer) {
	f.answer = call(ctx)
	if until := f.answer.keep; until.After(now()) {
		kept := f.answer
		kept.cookies = nil // they belong to the one who caused the call
		h.kept.put(key, kept, until)
	}
	h.mu.Lock()
	delete(h.flights, key)
	h.mu.Unlock()
	close(f.done)
}
