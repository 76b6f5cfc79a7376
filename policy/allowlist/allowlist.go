// Package allowlist knows which operations a project's clients may send. It
// stands between the engine's operation, which makes the shape of a request,
// and the planner. A List is built with the project's instance and found in a
// map per request.
package allowlist

import (
	"crypto/sha256"
	"encoding/hex"

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
	IDsOnly  Mode = "ids_only" // clients send the ids of listed operations, never text
)

// Match says when an operation equals a listed one.
type Match string

// The matches; an empty one, or one that is not known, is Exact.
const (
	Exact      Match = "exact"      // but for white space, comments and __typename
	Normalized Match = "normalized" // also but for fragments, names, order of arguments, and values
	Subset     Match = "subset"     // also with fewer fields
)

// DocumentCollection is the name of the query collection whose queries are
// persisted documents: the name of each is its id. Those for some roles lie in
// collections of the same name with a colon and the roles behind it.
const DocumentCollection = "tenantry_documents"

// Shape is what the list compares. Of what it needs beside Hash, only what the
// list's match asks for is set.
type Shape struct {
	Hash  string // of the normalised operation, for Exact
	Loose string // of its loose form, for Normalized
	Tree  *Tree  // for Subset
	// Name is for messages and logs.
	Name string
}

// Entry is one listed operation.
type Entry struct {
	Shape
	Collection string
	// ID makes it a persisted document of that id.
	ID string
	// Text is what is run when a client sends the id, or the text's SHA-256.
	Text string
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

// Modes say which mode a role is in.
type Modes struct {
	Default Mode
	PerRole map[string]Mode // those of a mode of their own
}

func (m Modes) of(role string) Mode {
	mode, ok := m.PerRole[role]
	if !ok {
		mode = m.Default
	}
	if role == session.Admin || mode == "" {
		return Disabled
	}
	return mode
}

func (m Modes) some(mode Mode) bool {
	for _, own := range m.PerRole {
		if own == mode {
			return true
		}
	}
	return m.Default == mode
}

// List is a project's allow-list. It is safe for concurrent use and never
// changes.
type List struct {
	modes     Modes
	match     Match
	scopes    map[string]*scope // by Hash or Loose
	trees     *treeIndex        // for Subset
	documents map[string]*document
	persisted bool // some entry has an id
}

type scope struct {
	global bool
	roles  map[string]bool
}

func (s *scope) covers(role string) bool { return s.global || s.roles[role] || role == session.Admin }

func (s *scope) add(roles []string) {
	if roles == nil {
		s.global = true
	}
	for _, role := range roles {
		if s.roles == nil {
			s.roles = make(map[string]bool, len(roles))
		}
		s.roles[role] = true
	}
}

type document struct {
	scope
	text string
}

// New builds a list. An operation may be listed several times: one entry that
// covers the role is enough.
func New(modes Modes, match Match, entries []Entry) *List {
	l := &List{modes: modes, match: match, scopes: make(map[string]*scope, len(entries)), documents: map[string]*document{}}
	for _, e := range entries {
		l.persisted = l.persisted || e.ID != ""
	}
	if match == Subset {
		l.trees = newTreeIndex(entries)
	}
	for _, e := range entries {
		if l.TakesIDs() {
			sum := sha256.Sum256([]byte(e.Text))
			l.addDocument(hex.EncodeToString(sum[:]), e)
			if e.ID != "" {
				l.addDocument(e.ID, e)
			}
		}
		key := e.Hash
		if match == Normalized {
			key = e.Loose
		}
		if match == Subset || key == "" {
			continue
		}
		s := l.scopes[key]
		if s == nil {
			s = &scope{}
			l.scopes[key] = s
		}
		s.add(e.Roles)
	}
	return l
}

// addDocument keeps the first text of an id; another text of the same id for
// other roles is not offered.
func (l *List) addDocument(id string, e Entry) {
	d := l.documents[id]
	if d == nil {
		d = &document{text: e.Text}
		l.documents[id] = d
	}
	if d.text == e.Text {
		d.add(e.Roles)
	}
}

// Active reports whether Check compares anything of a role: without it, callers
// need not hash the operation.
func (l *List) Active(role string) bool { return l.modes.of(role) != Disabled }

// TakesIDs reports whether clients may send ids in place of texts: the project has
// persisted documents, or wants nothing else.
func (l *List) TakesIDs() bool { return l.persisted || l.modes.some(IDsOnly) }

// Document finds the text of an id: that of a persisted document, or the SHA-256
// of a listed operation's text in hex. One that is for other roles is not found.
func (l *List) Document(role, id string) (text string, ok bool) {
	d := l.documents[id]
	if d == nil || !d.covers(role) {
		return "", false
	}
	return d.text, true
}

// CheckText refuses the text of an operation where only ids may be sent.
func (l *List) CheckText(role string) error {
	if l.modes.of(role) != IDsOnly {
		return nil
	}
	return refusal("only the ids of persisted documents may be sent")
}

// Check asks whether a role may send an operation. The error is an
// *errcode.Error whose internal part tells administrators why.
func (l *List) Check(role string, s Shape) (Verdict, error) {
	mode := l.modes.of(role)
	if mode == Disabled {
		return NotChecked, nil
	}
	if l.lists(role, s) {
		return Listed, nil
	}
	if mode == Audit {
		return WouldRefuse, nil
	}
	return Refused, refusal("query is not in any of the allowlists")
}

func (l *List) lists(role string, s Shape) bool {
	key := s.Hash
	switch l.match {
	case Subset:
		return l.trees.contains(role, s.Tree)
	case Normalized:
		key = s.Loose
	}
	found, ok := l.scopes[key]
	return ok && found.covers(role)
}

func refusal(why string) error {
	return errcode.New(errcode.ValidationFailed, "query is not allowed").WithInternal(map[string]any{"message": why})
}
