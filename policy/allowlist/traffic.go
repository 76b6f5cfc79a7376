package allowlist

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxSeen      = 1000    // operations of one project
	maxSeenBytes = 2 << 20 // of their texts
	maxSeenText  = 64 << 10
	maxSeenRoles = 20
)

// Traffic remembers which operations clients send that are not listed, so that a
// list can be made of them. It holds no values, neither of variables nor of the
// text, is bounded, and forgets first what was not seen for longest. It outlives
// the instances of a project. Safe for concurrent use.
type Traffic struct {
	mu    sync.Mutex
	seen  map[string]*Seen // by hash
	bytes int
}

// Seen is one operation of the traffic.
type Seen struct {
	Hash, Name, Type string
	// Text is the operation with its values left out; Values says that there were
	// some, so that the text matches only where values are not compared.
	Text   string
	Values bool
	First  time.Time

	last  atomic.Int64 // unix nanoseconds
	count atomic.Int64
	roles []string // guarded by the Traffic's lock
}

// NewTraffic remembers nothing yet.
func NewTraffic() *Traffic { return &Traffic{seen: map[string]*Seen{}} }

// Again counts one more request of the operation. A nil Seen counts nothing.
func (s *Seen) Again(now time.Time) {
	if s != nil {
		s.count.Add(1)
		s.last.Store(now.UnixNano())
	}
}

// Note remembers an operation that was prepared for a role, and gives what counts
// its requests; nil when it is too long to be kept.
func (t *Traffic) Note(op Operation, role string, now time.Time) *Seen {
	if len(op.Text) > maxSeenText {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.seen[op.Hash]
	if s == nil {
		s = &Seen{Hash: op.Hash, Name: op.Name, Type: op.Type, Text: op.Text, Values: op.Values, First: now}
		for len(t.seen) >= maxSeen || t.bytes+len(s.Text) > maxSeenBytes {
			t.forgetOldest()
		}
		t.seen[op.Hash] = s
		t.bytes += len(s.Text)
	}
	s.last.Store(now.UnixNano())
	if len(s.roles) < maxSeenRoles && !slices.Contains(s.roles, role) {
		s.roles = append(s.roles, role)
	}
	return s
}

func (t *Traffic) forgetOldest() {
	var oldest *Seen
	for _, s := range t.seen {
		if oldest == nil || s.last.Load() < oldest.last.Load() {
			oldest = s
		}
	}
	delete(t.seen, oldest.Hash)
	t.bytes -= len(oldest.Text)
}

// Operation is a Seen at one moment.
type Operation struct {
	Hash, Name, Type, Text string
	Values                 bool
	Roles                  []string
	Count                  int64
	First, Last            time.Time
}

// Since tells the operations that were seen at or after a time, the most frequent
// first.
func (t *Traffic) Since(since time.Time) []Operation {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []Operation
	for _, s := range t.seen {
		last := time.Unix(0, s.last.Load()).UTC()
		if last.Before(s.First) { // that of a request is when it began, before it was noted
			last = s.First.UTC()
		}
		if last.Before(since) {
			continue
		}
		list = append(list, Operation{
			Hash: s.Hash, Name: s.Name, Type: s.Type, Text: s.Text, Values: s.Values, Roles: slices.Sorted(slices.Values(s.roles)),
			Count: s.count.Load(), First: s.First.UTC(), Last: last,
		})
	}
	slices.SortFunc(list, func(a, b Operation) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Hash, b.Hash))
	})
	return list
}
