package authn

import (
	"crypto/sha256"
	"strconv"
	"sync"
	"time"
)

const (
	cacheFor  = time.Minute // at most, so that a withdrawn key soon counts
	cacheSize = 2000        // tokens in each of two generations
)

// cacheKey is a hash: what a cache remembers cannot be read out of it.
type cacheKey [sha256.Size]byte

// cache remembers answers by the hash of what was asked, each until a time of
// its own. It is bounded: a full generation becomes the old one, and what the old
// one held is forgotten unless it was used again.
type cache[V any] struct {
	size       int // of each generation
	mu         sync.Mutex
	young, old map[cacheKey]kept[V]
}

type kept[V any] struct {
	value V
	until time.Time
}

func newCache[V any](size int) *cache[V] {
	return &cache[V]{size: size, young: map[cacheKey]kept[V]{}}
}

// tokenKey tells apart the same token under different settings.
func tokenKey(config int, token string) cacheKey {
	var room [1024]byte // more than most tokens have
	text := append(strconv.AppendInt(room[:0], int64(config), 10), ':')
	return sha256.Sum256(append(text, token...))
}

func (c *cache[V]) get(key cacheKey, now time.Time) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.young[key]
	if !ok {
		if k, ok = c.old[key]; !ok {
			return value, false
		}
		c.store(key, k)
	}
	if !now.Before(k.until) {
		delete(c.young, key)
		delete(c.old, key)
		return value, false
	}
	return k.value, true
}

func (c *cache[V]) put(key cacheKey, value V, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store(key, kept[V]{value, until})
}

func (c *cache[V]) store(key cacheKey, k kept[V]) {
	if len(c.young) >= c.size {
		c.young, c.old = map[cacheKey]kept[V]{}, c.young
	}
	c.young[key] = k
}
