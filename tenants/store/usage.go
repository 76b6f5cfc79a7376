package store

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// usage gathers which credentials were used since it was last written.
type usage struct {
	mu      sync.Mutex
	keys    map[string]time.Time
	secrets map[string]time.Time
}

const (
	usageInterval = 2 * time.Second
	usageTimeout  = 5 * time.Second
	pruneInterval = time.Hour
)

// TouchKeys notes that keys were used now. It costs no query: the last uses are
// written together every two seconds, and at Close.
func (s *Store) TouchKeys(ids ...string) { s.used.note(&s.used.keys, ids) }

// TouchAdminSecrets is TouchKeys for admin secrets.
func (s *Store) TouchAdminSecrets(ids ...string) { s.used.note(&s.used.secrets, ids) }

func (u *usage) note(in *map[string]time.Time, ids []string) {
	now := time.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	if *in == nil {
		*in = map[string]time.Time{}
	}
	for _, id := range ids {
		if isID(id) {
			(*in)[id] = now
		}
	}
}

func (u *usage) take() (keys, secrets map[string]time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	keys, secrets = u.keys, u.secrets
	u.keys, u.secrets = nil, nil
	return keys, secrets
}

// keepHouse writes last uses and deletes what is no longer needed, until ctx
// ends.
func (s *Store) keepHouse(ctx context.Context) {
	tick, prune := time.NewTicker(usageInterval), time.NewTicker(pruneInterval)
	defer tick.Stop()
	defer prune.Stop()
	for {
		select {
		case <-tick.C:
			s.FlushUsage(ctx)
		case <-prune.C:
			if _, err := s.PruneAnswers(ctx); err != nil {
				slog.Default().Warn("old idempotent answers were not deleted", "error", err)
			}
		case <-ctx.Done():
			s.FlushUsage(context.WithoutCancel(ctx))
			return
		}
	}
}

// FlushUsage writes what TouchKeys and TouchAdminSecrets noted. A failure only
// costs the time of a last use, so it is logged and forgotten.
func (s *Store) FlushUsage(ctx context.Context) {
	keys, secrets := s.used.take()
	ctx, cancel := context.WithTimeout(ctx, usageTimeout)
	defer cancel()
	for table, used := range map[string]map[string]time.Time{"keys": keys, "admin_secrets": secrets} {
		if len(used) == 0 {
			continue
		}
		var ids []string
		var ages []float64 // seconds ago, so that Postgres' clock is the only one that counts
		for id, at := range used {
			ids, ages = append(ids, id), append(ages, time.Since(at).Seconds())
		}
		_, err := s.pool.Exec(ctx, `UPDATE tenantry.`+table+` c SET last_used = greatest(c.last_used, now() - make_interval(secs => u.age))
			FROM unnest($1::text[]::uuid[], $2::float8[]) u(id, age) WHERE c.id = u.id`, ids, ages)
		if err != nil {
			slog.Default().Warn("last uses of credentials were not noted", "error", err)
		}
	}
}
