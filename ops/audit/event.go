// Package audit holds what is recorded of who did what: the event, its place in
// a chain of hashes per project, and the recorder that writes events off the
// path of requests. Changes of configuration are written by tenants/store in
// the same transaction as the change; everything else goes through Recorder.
package audit

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The kinds of events.
const (
	KindChange  = "change"  // of tenants, projects, metadata, settings
	KindDenial  = "denial"  // a request that was refused
	KindAdmin   = "admin"   // a use of an admin secret
	KindAction  = "action"  // a call of a tenant's handler
	KindRequest = "request" // any other request, sampled
	// KindDecision is an answer of a project's policy: every denial, others sampled.
	// The event has the id of the decision.
	KindDecision = "decision"
)

// The outcomes of events.
const (
	OK     = "ok"
	Denied = "denied"
	Failed = "error"
)

// The kinds of actors.
const (
	ActorOperator    = "operator"
	ActorTenantKey   = "tenant_key"
	ActorProjectKey  = "project_key"
	ActorAdminSecret = "admin_secret"
	ActorUser        = "user"
	ActorSystem      = "system"
)

// Actor is who did it: the id of a key or secret or the subject of a token,
// never a secret itself.
type Actor struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

// Event is one line of the audit. Once recorded it is never changed.
type Event struct {
	ID        string // uuid v7; made by the recorder or the store when empty
	Seq       int64  // 1, 2, 3 … in the chain; given by the store
	At        time.Time
	Kind      string
	TenantID  string
	ProjectID string // empty for an event of a tenant as a whole
	Actor     Actor
	Role      string
	Action    string // what was done, such as "project.create" or "graphql.mutation"
	Target    string // to what, such as "action/placeOrder"
	Outcome   string
	Code      string // the error's public code
	RequestID string
	IP        string
	// Detail holds chosen fields of JSON types; never secrets, never values of
	// a client's variables.
	Detail map[string]any
	Hash   string // hex, of this event and its predecessor's hash; given by the store
}

// ChainID names the chain that e belongs to: its project's, its tenant's when
// no project is concerned, or the installation's.
func (e Event) ChainID() string {
	switch {
	case e.ProjectID != "":
		return e.ProjectID
	case e.TenantID != "":
		return e.TenantID
	}
	return InstallationChain
}

// InstallationChain is the chain of events that belong to no tenant, such as a
// refused operator key.
const InstallationChain = "installation"

// ErrRejected is in the chain of an Append's error when trying again can't help:
// the events themselves can't be kept.
var ErrRejected = errors.New("audit: events can't be kept")

// Log keeps events. Append gives each its Seq and Hash in its chain and keeps
// all or none; an event whose ID is kept already is passed over, so that a
// batch can be tried again.
type Log interface {
	Append(ctx context.Context, events []Event) error
}

// maxField and maxDetail bound what one event keeps of a client's own text.
const (
	maxField  = 1 << 10
	maxDetail = 16 << 10
)

// Complete returns e as it will be kept: with a uuid, a time at the microsecond
// that Postgres keeps (the hash depends on it), an outcome, and texts that
// Postgres can hold. What a client sent may be in an event, and an event must
// not be lost because a name had a zero byte in it.
func (e Event) Complete(now time.Time) Event {
	if _, err := uuid.Parse(e.ID); err != nil {
		e.ID = uuid.Must(uuid.NewV7()).String()
	}
	if e.At.IsZero() {
		e.At = now
	}
	e.At = e.At.UTC().Truncate(time.Microsecond)
	if e.Outcome == "" {
		e.Outcome = OK
	}
	for _, field := range []*string{
		&e.Kind, &e.TenantID, &e.ProjectID, &e.Actor.Kind, &e.Actor.ID, &e.Role, &e.Action,
		&e.Target, &e.Outcome, &e.Code, &e.RequestID, &e.IP,
	} {
		*field = storable(*field)
	}
	if len(e.Detail) > 0 && len(CanonicalDetail(e.Detail)) > maxDetail {
		e.Detail = map[string]any{"too_large": true}
	}
	return e
}

// storable cuts a text, and drops what Postgres refuses in texts.
func storable(s string) string {
	if len(s) > maxField {
		s = s[:maxField]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}
