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

// cache remembers verified tokens by their hash. It is bounded: a full
// generation becomes the old one, and what the old one held is forgotten unless
// it was used again.
type cache struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]*identity
}

func newCache() *cache { return &cache{young: map[[sha256.Size]byte]*identity{}} }

// cacheKey tells apart the same token under different settings.
func cacheKey(config int, token string) [sha256.Size]byte {
	return sha256.Sum256([]byte(strconv.Itoa(config) + ":" + token))
}

func (c *cache) get(key [sha256.Size]byte, now time.Time) *identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, ok := c.young[key]
	if !ok {
		if id, ok = c.old[key]; !ok {
			return nil
		}
		c.store(key, id)
	}
	if !now.Before(id.until) {
		delete(c.young, key)
		delete(c.old, key)
		return nil
	}
	return id
}

func (c *cache) put(key [sha256.Size]byte, id *identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store(key, id)
}

func (c *cache) store(key [sha256.Size]byte, id *identity) {
	if len(c.young) >= cacheSize {
		c.young, c.old = map[[sha256.Size]byte]*identity{}, c.young
	}
	c.young[key] = id
}
