// Package allowlist knows which operations a project's clients may send. It
// stands between the engine's operation, which makes the shape of a request,
// and the planner. A List is built with the project's instance and found in a
// map per request.
package allowlist

import (
	"tenantry/api/errcode"
	"tenantry/api/session"
)

// Mode says what happens to an operation that is not listed.
type Mode string

// The modes. An empty mode is Disabled; one that is not known enforces.
const (
	Disabled Mode = "disabled"
	Audit    Mode = "audit" // it passes, and the verdict says that it would not
	Enforce  Mode = "enforce"
)

// Shape is what the list compares: the hash of the normalised operation. The
// name is for messages and logs.
type Shape struct {
	Hash string
	Name string
}

// Entry is one listed operation.
type Entry struct {
	Hash       string
	Collection string
	Name       string
	// Roles may use it; nil is every role, empty is none.
	Roles []string
}

// Verdict is the outcome of a check, also the label of its counter.
type Verdict string

// The verdicts. Refused comes with an error, the others without.
const (
	NotChecked  Verdict = "not_checked" // the mode is disabled, or the role is admin
	Listed      Verdict = "listed"
	WouldRefuse Verdict = "would_refuse" // audit: it is not listed
	Refused     Verdict = "refused"
)

// List is a project's allow-list. It is safe for concurrent use and never
// changes.
type List struct {
	mode   Mode
	scopes map[string]scope
}

type scope struct {
	global bool
	roles  map[string]bool
}

// New builds a list. An operation may be listed several times: one entry that
// covers the role is enough.
func New(mode Mode, entries []Entry) *List {
	if mode == "" {
		mode = Disabled
	}
	l := &List{mode: mode, scopes: make(map[string]scope, len(entries))}
	for _, e := range entries {
		s := l.scopes[e.Hash]
		if e.Roles == nil {
			s.global = true
		} else if s.roles == nil {
			s.roles = make(map[string]bool, len(e.Roles))
		}
		for _, role := range e.Roles {
			s.roles[role] = true
		}
		l.scopes[e.Hash] = s
	}
	return l
}

// Mode returns the list's mode.
func (l *List) Mode() Mode { return l.mode }

// Active reports whether Check compares anything: without it, callers need not
// hash the operation.
func (l *List) Active() bool { return l.mode != Disabled }

// Check asks whether a role may send an operation. The error is an
// *errcode.Error whose internal part tells administrators why.
func (l *List) Check(role string, s Shape) (Verdict, error) {
	if l.mode == Disabled || role == session.Admin {
		return NotChecked, nil
	}
	if found, ok := l.scopes[s.Hash]; ok && (found.global || found.roles[role]) {
		return Listed, nil
	}
	if l.mode == Audit {
		return WouldRefuse, nil
	}
	return Refused, errcode.New(errcode.ValidationFailed, "query is not allowed").
		WithInternal(map[string]any{"message": "query is not in any of the allowlists"})
}
