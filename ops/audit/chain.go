package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"slices"
	"time"
	"unicode/utf8"
)

// chainVersion is hashed first, so that a later encoding can't be mistaken for
// this one.
const chainVersion = "tenantry audit 1"

// Chain returns the hash of e, hex, given that of its predecessor ("" for the
// first event): SHA-256 over the version, prev and every field of e but Hash,
// each preceded by its length so that no two events encode alike.
//
// Detail is hashed as CanonicalDetail writes it.
func Chain(prev string, e Event) string {
	h := sha256.New()
	put(h, chainVersion)
	put(h, prev)
	put(h, e.ID)
	var seq [8]byte
	binary.BigEndian.PutUint64(seq[:], uint64(e.Seq))
	h.Write(seq[:])
	put(h, e.At.UTC().Truncate(time.Microsecond).Format("2006-01-02T15:04:05.000000Z"))
	for _, field := range []string{
		e.Kind, e.TenantID, e.ProjectID, e.Actor.Kind, e.Actor.ID, e.Role, e.Action,
		e.Target, e.Outcome, e.Code, e.RequestID, e.IP,
	} {
		put(h, field)
	}
	put(h, CanonicalDetail(e.Detail))
	return hex.EncodeToString(h.Sum(nil))
}

func put(h hash.Hash, field string) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(field)))
	h.Write(n[:])
	h.Write([]byte(field))
}

// CanonicalDetail is the one JSON text of a detail: keys sorted at every level,
// no spaces, numbers as they were first written. It is also what the store
// keeps, so that a detail read back and encoded again is the same text. A
// detail that JSON can't hold becomes {"unencodable":true}: an event is never
// lost over its detail.
func CanonicalDetail(detail map[string]any) string {
	if len(detail) == 0 {
		return "{}"
	}
	text, err := json.Marshal(detail)
	if err != nil {
		return `{"unencodable":true}`
	}
	if plain(detail) {
		return string(text)
	}
	// Once more by way of plain maps: structs have their fields in their own
	// order, maps in the order of their keys.
	again, err := ParseDetail(text)
	if err != nil {
		return `{"unencodable":true}`
	}
	text, err = json.Marshal(again)
	if err != nil {
		return `{"unencodable":true}`
	}
	return string(text)
}

// plain reports whether a value encodes as it does once it was read back: as nearly
// all details do.
func plain(value any) bool {
	switch v := value.(type) {
	case nil, bool, int, int32, int64, uint64, float64, json.Number:
		return true
	case string:
		return utf8.ValidString(v)
	case []string:
		return !slices.ContainsFunc(v, func(s string) bool { return !utf8.ValidString(s) })
	case []any:
		for _, item := range v {
			if !plain(item) {
				return false
			}
		}
		return true
	case map[string]any:
		for key, item := range v {
			if !utf8.ValidString(key) || !plain(item) {
				return false
			}
		}
		return true
	}
	return false
}

// ParseDetail reads what CanonicalDetail wrote; numbers are json.Number, so that
// none changes. An empty object is a nil map.
func ParseDetail(text []byte) (map[string]any, error) {
	var detail map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&detail); err != nil {
		return nil, err
	}
	if len(detail) == 0 {
		return nil, nil
	}
	return detail, nil
}

// Verifier checks a chain event by event, oldest first, without keeping it in
// memory. The zero Verifier starts a chain.
type Verifier struct {
	prev    string
	seq     int64
	checked int64
	bad     *Broken
}

// Broken says where a chain was tampered with.
type Broken struct {
	Seq     int64  // of the first event that does not fit
	Problem string // what was expected
}

// Add checks the next event and reports whether the chain is whole so far.
func (v *Verifier) Add(e Event) bool {
	if v.bad != nil {
		return false
	}
	switch {
	case e.Seq != v.seq+1:
		v.bad = &Broken{Seq: v.seq + 1, Problem: fmt.Sprintf("expected event %d, found event %d: removed or reordered", v.seq+1, e.Seq)}
		return false
	case Chain(v.prev, e) != e.Hash:
		v.bad = &Broken{Seq: e.Seq, Problem: fmt.Sprintf("event %d or its predecessor was changed", e.Seq)}
		return false
	}
	v.prev, v.seq = e.Hash, e.Seq
	v.checked++
	return true
}

// Checked is the number of events that fit.
func (v *Verifier) Checked() int64 { return v.checked }

// FirstBad is where the chain broke, nil when it is whole.
func (v *Verifier) FirstBad() *Broken { return v.bad }

// End checks that the chain ends where its head says: without it, the removal
// of the newest events would not be seen.
func (v *Verifier) End(seq int64, hash string) *Broken {
	if v.bad == nil && (v.seq != seq || v.prev != hash) {
		v.bad = &Broken{Seq: v.seq + 1, Problem: fmt.Sprintf("the chain ends at event %d, its head says %d: the newest events were removed", v.seq, seq)}
	}
	return v.bad
}

// Verify checks a sequence of events, oldest first, that starts a chain.
func Verify(events []Event) *Broken {
	var v Verifier
	for _, e := range events {
		v.Add(e)
	}
	return v.FirstBad()
}
