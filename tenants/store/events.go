package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tenantry/ops/audit"
)

// Append keeps events outside of a change, each at the end of its chain: it is
// the audit.Log of the recorder. Events that are kept already are passed over.
func (s *Store) Append(ctx context.Context, events []audit.Event) error {
	if len(events) == 0 {
		return nil
	}
	err := wrap("append audit events", pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		return appendEvents(ctx, tx, events)
	}))
	// Data exceptions and violated constraints: it would fail again.
	if c := code(err); strings.HasPrefix(c, "22") || strings.HasPrefix(c, "23") {
		return errors.Join(audit.ErrRejected, err)
	}
	return err
}

// link is the end of a chain.
type link struct {
	seq  int64
	hash string
}

// appendEvents puts events at the ends of their chains, in two round trips. The
// heads are locked in one order by everybody, so that no two block each other.
func appendEvents(ctx context.Context, tx pgx.Tx, events []audit.Event) error {
	heads, kept, now, err := lockHeads(ctx, tx, events)
	if err != nil {
		return err
	}
	var rows columns
	for _, e := range events {
		e = e.Complete(now)
		if kept[e.ID] {
			continue
		}
		kept[e.ID] = true
		chain := e.ChainID()
		head := heads[chain]
		e.Seq = head.seq + 1
		e.Hash = audit.Chain(head.hash, e)
		heads[chain] = link{e.Seq, e.Hash}
		rows.add(e)
	}
	if len(rows.id) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	rows.queue(batch)
	var chains, hashes []string
	var seqs []int64
	for _, chain := range slices.Sorted(maps.Keys(heads)) {
		chains, seqs, hashes = append(chains, chain), append(seqs, heads[chain].seq), append(hashes, heads[chain].hash)
	}
	batch.Queue(`UPDATE tenantry.audit_heads h SET seq = n.seq, hash = n.hash
		FROM unnest($1::text[], $2::bigint[], $3::text[]) n(chain, seq, hash) WHERE h.chain = n.chain`, chains, seqs, hashes)
	return tx.SendBatch(ctx, batch).Close()
}

// lockHeads locks the ends of the chains of events, making those that are new,
// and finds which of the events are kept already.
func lockHeads(ctx context.Context, tx pgx.Tx, events []audit.Event) (heads map[string]link, kept map[string]bool, now time.Time, err error) {
	var ids []string
	names := map[string]bool{}
	for _, e := range events {
		e = e.Complete(now)
		ids = append(ids, e.ID)
		names[e.ChainID()] = true
	}
	chains := slices.Sorted(maps.Keys(names))
	heads, kept = map[string]link{}, map[string]bool{}

	batch := &pgx.Batch{}
	batch.Queue("SELECT now()").QueryRow(func(row pgx.Row) error { return row.Scan(&now) })
	batch.Queue(`INSERT INTO tenantry.audit_heads (chain, seq, hash)
		SELECT chain, 0, '' FROM unnest($1::text[]) chain ORDER BY chain ON CONFLICT DO NOTHING`, chains)
	batch.Queue("SELECT chain, seq, hash FROM tenantry.audit_heads WHERE chain = ANY($1) ORDER BY chain FOR UPDATE", chains).
		Query(func(rows pgx.Rows) error {
			var chain string
			var head link
			_, err := pgx.ForEachRow(rows, []any{&chain, &head.seq, &head.hash}, func() error {
				heads[chain] = head
				return nil
			})
			return err
		})
	// After the lock: another attempt at the same events may just have committed.
	batch.Queue("SELECT id::text FROM tenantry.audit_events WHERE id = ANY($1::text[]::uuid[])", ids).
		Query(func(rows pgx.Rows) error {
			var id string
			_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
				kept[id] = true
				return nil
			})
			return err
		})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, nil, now, err
	}
	if len(heads) != len(chains) {
		return nil, nil, now, fmt.Errorf("locked %d of %d audit chains", len(heads), len(chains))
	}
	return heads, kept, now, nil
}

// columns are events turned on their side, for one INSERT of any number.
type columns struct {
	seq  []int64
	at   []time.Time
	id   []string
	text [eventTexts][]string
}

// eventTexts is the number of columns of type text in eventColumns.
const eventTexts = 15

const eventColumns = `seq, at, id, chain, kind, tenant_id, project_id, actor_kind, actor_id, role, action, target,
	outcome, code, request_id, ip, detail, hash`

func (c *columns) add(e audit.Event) {
	c.seq, c.at, c.id = append(c.seq, e.Seq), append(c.at, e.At), append(c.id, e.ID)
	for i, text := range [eventTexts]string{
		e.ChainID(), e.Kind, e.TenantID, e.ProjectID, e.Actor.Kind, e.Actor.ID, e.Role, e.Action, e.Target,
		e.Outcome, e.Code, e.RequestID, e.IP, audit.CanonicalDetail(e.Detail), e.Hash,
	} {
		c.text[i] = append(c.text[i], text)
	}
}

func (c *columns) queue(batch *pgx.Batch) {
	args := []any{c.seq, c.at, c.id}
	for i := range c.text {
		args = append(args, c.text[i])
	}
	batch.Queue(`INSERT INTO tenantry.audit_events (`+eventColumns+`)
		SELECT seq, at, id::uuid, chain, kind, tenant_id, project_id, actor_kind, actor_id, role, action, target,
			outcome, code, request_id, ip, detail::json, hash
		FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
			$9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[])
		AS e(`+eventColumns+`)`, args...)
}
