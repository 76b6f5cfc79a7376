package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tenantry/ops/audit"
)

// AuditFilter narrows a list of audit events; empty fields don't.
type AuditFilter struct {
	Kind    string
	Outcome string
	Since   time.Time // events at this time or later
	ID      string    // of the one event, a uuid
}

const eventRead = `e.seq, e.at, e.id::text, e.kind, e.tenant_id, e.project_id, e.actor_kind, e.actor_id, e.role, e.action, e.target,
	e.outcome, e.code, e.request_id, e.ip, e.detail::text, e.hash`

// scanEvent reads eventRead.
func scanEvent(row pgx.CollectableRow) (e audit.Event, err error) {
	var detail string
	err = row.Scan(&e.Seq, &e.At, &e.ID, &e.Kind, &e.TenantID, &e.ProjectID, &e.Actor.Kind, &e.Actor.ID, &e.Role, &e.Action, &e.Target,
		&e.Outcome, &e.Code, &e.RequestID, &e.IP, &detail, &e.Hash)
	if err != nil {
		return e, err
	}
	e.Detail, err = audit.ParseDetail([]byte(detail))
	return e, err
}

// ProjectAudit lists a project's events, newest first.
func (s *Store) ProjectAudit(ctx context.Context, projectID string, f AuditFilter, p Page) (items []audit.Event, next string, err error) {
	before, err := p.beforeSeq()
	if err != nil {
		return nil, "", err
	}
	where, args := f.conditions("e.chain = $1 AND e.seq < $2", projectID, before)
	if !f.Since.IsZero() {
		// Numbers rise with time but for the little that nodes' clocks differ.
		// Reading backwards, the first event older than that ends the search,
		// however long the chain is.
		args = append(args, f.Since.Add(-time.Minute))
		where += fmt.Sprintf(` AND e.seq > coalesce((SELECT o.seq FROM tenantry.audit_events o
			WHERE o.chain = $1 AND o.at < $%d ORDER BY o.seq DESC LIMIT 1), 0)`, len(args))
	}
	items, err = s.readEvents(ctx, where+" ORDER BY e.seq DESC", args, p.limit()+1)
	items, next = part(items, p.limit(), func(e audit.Event) []string { return []string{strconv.FormatInt(e.Seq, 10)} })
	return items, next, wrap("read audit", err)
}

// TenantAudit lists the events of a tenant and all its projects, newest first.
func (s *Store) TenantAudit(ctx context.Context, tenantID string, f AuditFilter, p Page) (items []audit.Event, next string, err error) {
	after, err := p.parts(2)
	if err != nil {
		return nil, "", err
	}
	where, args := f.conditions("e.tenant_id = $1", tenantID)
	if after != nil {
		at, err := time.Parse(time.RFC3339Nano, after[0])
		if err != nil || !isID(after[1]) {
			return nil, "", ErrBadCursor
		}
		args = append(args, at, after[1])
		where += fmt.Sprintf(" AND (e.at, e.id) < ($%d, $%d::text::uuid)", len(args)-1, len(args))
	}
	items, err = s.readEvents(ctx, where+" ORDER BY e.at DESC, e.id DESC", args, p.limit()+1)
	items, next = part(items, p.limit(), func(e audit.Event) []string { return []string{e.At.Format(time.RFC3339Nano), e.ID} })
	return items, next, wrap("read audit", err)
}

func (f AuditFilter) conditions(where string, args ...any) (string, []any) {
	add := func(condition string, value any) {
		args = append(args, value)
		where += " AND " + fmt.Sprintf(condition, len(args))
	}
	if f.Kind != "" {
		add("e.kind = $%d", f.Kind)
	}
	if f.Outcome != "" {
		add("e.outcome = $%d", f.Outcome)
	}
	if f.ID != "" {
		add("e.id = $%d::text::uuid", f.ID)
	}
	if !f.Since.IsZero() {
		add("e.at >= $%d", f.Since)
	}
	return where, args
}

func (s *Store) readEvents(ctx context.Context, where string, args []any, limit int) ([]audit.Event, error) {
	for _, a := range args {
		if text, ok := a.(string); ok && (strings.ContainsRune(text, 0) || strings.ToValidUTF8(text, "") != text) {
			return nil, nil // no event has it, and Postgres would refuse the question
		}
	}
	args = append(args, limit)
	rows, err := s.pool.Query(ctx, fmt.Sprintf("SELECT %s FROM tenantry.audit_events e WHERE %s LIMIT $%d", eventRead, where, len(args)), args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanEvent)
}

// Verification is the result of checking a chain.
type Verification struct {
	OK       bool
	Checked  int64         // events that fit
	FirstBad *audit.Broken // nil when OK
}

// VerifyAudit checks a project's whole chain (or a tenant's own), as it is at
// one moment, and that nothing is missing at its end.
func (s *Store) VerifyAudit(ctx context.Context, chain string) (Verification, error) {
	var v audit.Verifier
	var head link
	// One snapshot for the head and the events.
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, s.pool, options, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, "SELECT coalesce(max(seq), 0), coalesce(max(hash), '') FROM tenantry.audit_heads WHERE chain = $1", chain).
			Scan(&head.seq, &head.hash)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "SELECT "+eventRead+" FROM tenantry.audit_events e WHERE e.chain = $1 ORDER BY e.seq", chain)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			e, err := scanEvent(rows)
			if err != nil {
				return err
			}
			if !v.Add(e) {
				return nil
			}
		}
		return rows.Err()
	})
	if err != nil {
		return Verification{}, wrap("verify audit", err)
	}
	bad := v.End(head.seq, head.hash)
	return Verification{OK: bad == nil, Checked: v.Checked(), FirstBad: bad}, nil
}
