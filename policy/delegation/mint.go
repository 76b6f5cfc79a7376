package delegation

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"time"

	"tenantry/api/session"
)

// generation is how many tokens each of the two generations of remembered ones
// holds.
const generation = 500

// minted is a token with the time until which it goes with further calls.
type minted struct {
	token string
	until time.Time
}

// Token is what the handler of an action gets to act as the caller: one that
// lasts the timeout of the call and Grace, and at most Reuse longer. It is empty
// when the project has no key. Signing costs as much as a small statement, so that
// a token goes with all calls of the same caller and action for a while.
func (k *Keys) Token(s session.Session, action string, timeout time.Duration) string {
	if k == nil || len(k.keys) == 0 {
		return ""
	}
	now := k.now()
	var space [512]byte
	same := sameCaller(space[:0], s, action)
	k.mu.Lock()
	known, ok := k.young[string(same)]
	if !ok {
		if known, ok = k.old[string(same)]; ok && now.Before(known.until) {
			k.keep(string(same), known)
		}
	}
	k.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.token
	}
	fresh := minted{k.mint(s, action, timeout, now), now.Add(Reuse)}
	k.mu.Lock()
	k.keep(string(same), fresh)
	k.mu.Unlock()
	return fresh.token
}

// keep remembers a token. The caller holds the lock.
func (k *Keys) keep(same string, m minted) {
	if len(k.young) >= generation {
		k.young, k.old = map[string]minted{}, k.young
	}
	k.young[same] = m
}

// sameCaller appends all that a token says of the caller, each part with its
// length before it, so that no two callers look alike.
func sameCaller(out []byte, s session.Session, action string) []byte {
	part := func(text string) {
		out = binary.AppendUvarint(out, uint64(len(text)))
		out = append(out, text...)
	}
	part(action)
	part(s.Role)
	part(string(s.Origin()))
	part(s.Actor)
	part(s.TokenID)
	out = binary.AppendVarint(out, s.IssuedAt.UnixMilli())
	out = binary.AppendUvarint(out, uint64(s.Depth))
	var space [16]string
	names := space[:0]
	for name := range s.Variables {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		part(name)
		part(s.Variables[name])
	}
	return out
}

func (k *Keys) mint(s session.Session, action string, timeout time.Duration, now time.Time) string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: the runtime ends the program instead
	c := claims{
		Issuer: Issuer(k.project), Audience: k.project, Subject: subject(s), ID: encode(id[:]),
		IssuedAt: now.Unix(), Expires: now.Add(timeout + Grace + Reuse).Unix(),
		Authenticated: seconds(s.IssuedAt), Depth: s.Depth + 1, Action: action,
		Origin:    origin{Auth: s.Origin(), Actor: s.Actor, TokenID: s.TokenID},
		Variables: make(map[string]any, len(s.Variables)+2),
	}
	if s.IssuedAt.IsZero() {
		c.Authenticated = seconds(now)
	}
	for name, value := range s.Variables {
		c.Variables[name] = value
	}
	delete(c.Variables, session.RoleVariable)
	c.Variables[defaultRole], c.Variables[allowedRoles] = s.Role, []string{s.Role}
	body, _ := json.Marshal(c) // texts and numbers always encode
	by := k.signing(now)
	signed := by.header + "." + encode(body)
	return signed + "." + encode(ed25519.Sign(by.private, []byte(signed)))
}

// subject is the user's id: that of the session, or else of the token.
func subject(s session.Session) string {
	if id := s.Variables[userVariable]; id != "" {
		return id
	}
	if s.Origin() == session.AuthJWT {
		return s.Actor
	}
	return ""
}

// seconds is a time as tokens have it, to the millisecond.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func fromSeconds(n float64) time.Time { return time.UnixMilli(int64(math.Round(n * 1000))) }
