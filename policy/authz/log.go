package authz

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/open-policy-agent/opa/v1/ast"

	"tenantry/api/session"
)

// Bound tells of values that were evaluated for a session. It has none of them.
type Bound struct {
	ID       string
	Point    Point
	Resource Resource
	Session  session.Session
	// Rules are where what was evaluated stands, as module:line.
	Rules []string
	// Values is how many there are, Defined how many of them are not NULL.
	Values, Defined int
	Took            time.Duration

	input ast.Value
}

// InputHash names what was decided about, so that equal questions are found again:
// the keyed hash of the input but for the time. Empty where there was no input.
func (d Decision) InputHash(key []byte) string { return hashOfInput(d.input, key) }

// InputHash names what the values were evaluated from.
func (b Bound) InputHash(key []byte) string { return hashOfInput(b.input, key) }

// hashOfInput needs a key, because what sessions hold can be guessed.
func hashOfInput(in ast.Value, key []byte) string {
	object, ok := in.(ast.Object)
	if !ok {
		return ""
	}
	timeless, err := object.Map(func(k, v *ast.Term) (*ast.Term, *ast.Term, error) {
		if k.Equal(keyNow) {
			v = ast.NullTerm()
		}
		return k, v, nil
	})
	if err != nil {
		return ""
	}
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(timeless.String()))
	return hex.EncodeToString(h.Sum(nil))
}

// told describes an evaluation of late values.
func (m *lateModule) told(s session.Session, in ast.Value, values *lateValues, took time.Duration) Bound {
	out := Bound{ID: uuid.Must(uuid.NewV7()).String(), Point: m.request.Point, Resource: m.request.Resource, Session: s, Values: len(m.values), Took: took, input: in}
	for _, text := range values.texts {
		if text != nil {
			out.Defined++
		}
	}
	for _, rule := range m.rules {
		if at := rule.Location; at != nil && at.File != "" {
			out.Rules = append(out.Rules, at.File+":"+strconv.Itoa(at.Row))
		}
	}
	slices.Sort(out.Rules)
	out.Rules = slices.Compact(out.Rules)
	return out
}
