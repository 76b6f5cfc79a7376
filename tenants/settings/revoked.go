package settings

import (
	"slices"
	"time"
)

// Revocation takes tokens back before they expire. Exactly one of User, TokenID
// and IssuedBefore says which.
type Revocation struct {
	// User takes back the tokens that were issued to a user (their sub, or
	// x-hasura-user-id) until At.
	User string `json:"user,omitempty"`
	// TokenID takes back one token by its jti.
	TokenID string `json:"jti,omitempty"`
	// IssuedBefore takes back all that were issued before.
	IssuedBefore *time.Time `json:"issued_before,omitempty"`
	At           time.Time  `json:"at"`
}

// MaxRevocations bounds the list: whoever has more to take back takes back all.
const MaxRevocations = 1000

// WithRevocation returns a copy of s with r; false when the list is full. What r
// says again is dropped: everything that was taken back before the time of
// IssuedBefore was issued before it, too.
func (s Settings) WithRevocation(r Revocation) (Settings, bool) {
	s.Revoked = slices.DeleteFunc(slices.Clone(s.Revoked), func(old Revocation) bool {
		if r.IssuedBefore == nil {
			return old.User == r.User && old.TokenID == r.TokenID && old.IssuedBefore == nil
		}
		if old.IssuedBefore != nil {
			return !old.IssuedBefore.After(*r.IssuedBefore)
		}
		return old.At.Before(*r.IssuedBefore)
	})
	if len(s.Revoked) >= MaxRevocations {
		return s, false
	}
	s.Revoked = append(s.Revoked, r)
	return s, true
}
