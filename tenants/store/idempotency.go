package store

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Answer is what was answered to a request, to be answered again.
type Answer struct {
	Status int
	Header map[string]string // chosen headers
	Body   []byte
}

const (
	// answerKept is how long an answer is given again.
	answerKept = 24 * time.Hour
	// claimKept is how long a request of the control API counts as running. The node
	// that ran a request for longer is gone.
	claimKept = 2 * time.Minute
)

// Claim is the right to run a request and to keep its answer. Exactly one of
// Finish, Release and Abandon ends it.
type Claim struct {
	// Delivery identifies the request: the same each time that it is run again
	// because it was not finished.
	Delivery         string
	store            *Store
	scope, key, mark string
}

// BeginIdempotent asks for a request's idempotency key. scope says whose key it
// is and for which operation (caller, method and path); hash is over the whole
// request. It returns the kept answer of the same request, or a claim when the
// request must run. Another request with the same key is
// ErrIdempotencyConflict, one that still runs ErrIdempotencyInProgress.
func (s *Store) BeginIdempotent(ctx context.Context, scope, key string, hash []byte) (*Answer, *Claim, error) {
	return s.BeginLeased(ctx, scope, key, hash, claimKept)
}

// BeginLeased is BeginIdempotent for a request that counts as running for lease,
// and longer when its claim is renewed. When the lease has run out, the same
// request gets a claim; another one never does, until a day has passed.
func (s *Store) BeginLeased(ctx context.Context, scope, key string, hash []byte, lease time.Duration) (*Answer, *Claim, error) {
	c := &Claim{store: s, scope: scope, key: key, mark: uuid.Must(uuid.NewV7()).String()}
	// Random: ids of runs follow from it, and nobody may guess those.
	err := s.pool.QueryRow(ctx, `INSERT INTO tenantry.idempotent_answers AS i (scope, key, request_hash, claim, delivery, leased_until)
		VALUES ($1, $2, $3, $4, $5, now() + $6::interval)
		ON CONFLICT (scope, key) DO UPDATE SET request_hash = excluded.request_hash, claim = excluded.claim, claimed_at = now(), answer = NULL,
			leased_until = excluded.leased_until, delivery = CASE WHEN i.claimed_at < now() - $7::interval THEN excluded.delivery ELSE i.delivery END
		WHERE i.claimed_at < now() - $7::interval OR i.answer IS NULL AND i.leased_until < now() AND i.request_hash = excluded.request_hash
		RETURNING delivery::text`,
		scope, key, hash, c.mark, uuid.NewString(), lease, answerKept).Scan(&c.Delivery)
	if err == nil {
		return nil, c, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return nil, nil, wrap("claim idempotency key", err)
	}
	var before, sealed []byte
	err = s.pool.QueryRow(ctx, "SELECT request_hash, answer FROM tenantry.idempotent_answers WHERE scope = $1 AND key = $2", scope, key).
		Scan(&before, &sealed)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		// Abandoned between the two statements.
		return nil, nil, ErrIdempotencyInProgress
	case err != nil:
		return nil, nil, wrap("read idempotent answer", err)
	case subtle.ConstantTimeCompare(before, hash) == 0:
		return nil, nil, ErrIdempotencyConflict
	case sealed == nil:
		return nil, nil, ErrIdempotencyInProgress
	}
	answer, err := s.openAnswer(sealed, scope)
	return answer, nil, err
}

func answerContext(scope string) string { return "idempotency:" + scope }

func (s *Store) openAnswer(sealed []byte, scope string) (*Answer, error) {
	text, err := s.vault.Unseal(sealed, answerContext(scope))
	if err != nil {
		return nil, fmt.Errorf("store: idempotent answer: %w", err)
	}
	var a Answer
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, errors.New("store: idempotent answer is not in the stored form")
	}
	return &a, nil
}

// Finish keeps the answer, sealed: it may hold a new key.
func (c *Claim) Finish(ctx context.Context, a Answer) error {
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("store: encode answer: %w", err)
	}
	sealed, err := c.store.vault.Seal(text, answerContext(c.scope))
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	_, err = c.store.pool.Exec(ctx, "UPDATE tenantry.idempotent_answers SET answer = $4 WHERE scope = $1 AND key = $2 AND claim = $3",
		c.scope, c.key, c.mark, sealed)
	return wrap("keep idempotent answer", err)
}

// Renew extends the lease of a request that still runs; false means that another
// has taken it over.
func (c *Claim) Renew(ctx context.Context, lease time.Duration) (own bool, err error) {
	tag, err := c.store.pool.Exec(ctx, `UPDATE tenantry.idempotent_answers SET leased_until = now() + $4::interval
		WHERE scope = $1 AND key = $2 AND claim = $3 AND answer IS NULL`, c.scope, c.key, c.mark, lease)
	return tag.RowsAffected() == 1, wrap("renew idempotency key", err)
}

// Release ends the lease without an answer: the same request may run again, with
// the same Delivery, because some of it may have happened.
func (c *Claim) Release(ctx context.Context) error {
	_, err := c.store.pool.Exec(ctx, `UPDATE tenantry.idempotent_answers SET leased_until = now() - interval '1 second'
		WHERE scope = $1 AND key = $2 AND claim = $3 AND answer IS NULL`, c.scope, c.key, c.mark)
	return wrap("release idempotency key", err)
}

// Abandon forgets the claim, so that the request can be tried again as if it had
// never come: after failures that are not the request's own.
func (c *Claim) Abandon(ctx context.Context) error {
	_, err := c.store.pool.Exec(ctx, "DELETE FROM tenantry.idempotent_answers WHERE scope = $1 AND key = $2 AND claim = $3 AND answer IS NULL",
		c.scope, c.key, c.mark)
	return wrap("abandon idempotency key", err)
}

// PruneAnswers deletes answers that are no longer given.
func (s *Store) PruneAnswers(ctx context.Context) (deleted int64, err error) {
	tag, err := s.pool.Exec(ctx, "DELETE FROM tenantry.idempotent_answers WHERE claimed_at < now() - $1::interval", answerKept)
	return tag.RowsAffected(), wrap("prune idempotent answers", err)
}
