package settings

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"time"

	"tenantry/tenants/vault"
)

// SigningKey is one of a project's key pairs. Public is what others verify by.
type SigningKey struct {
	// ID is the thumbprint of the public key (RFC 7638): the kid of tokens.
	ID        string       `json:"id"`
	Seed      vault.Secret `json:"seed"` // base64 of the 32 bytes of an Ed25519 seed
	CreatedAt time.Time    `json:"created_at"`
}

// The times of a rotation.
const (
	// SigningKeyLead is how long a new key is published before it signs: all nodes
	// know it by then, and whoever keeps the key set for as long as it says.
	SigningKeyLead = time.Minute
	// SigningKeyOverlap is how long an old key is still accepted when another one
	// signs: longer than any token lasts.
	SigningKeyOverlap = 10 * time.Minute
	// MaxSigningKeys is how many there may be: a new one, the one that signs, and one
	// whose last tokens are about to end.
	MaxSigningKeys = 3
)

// NewSigningKey makes a key pair. now is the store's time.
func NewSigningKey(now time.Time) SigningKey {
	var seed [ed25519.SeedSize]byte
	_, _ = rand.Read(seed[:]) // never fails, by its documentation
	return signingKey(base64.StdEncoding.EncodeToString(seed[:]), now)
}

// signingKey is the key pair of a seed; one that is not a seed has no id and no
// keys.
func signingKey(seed string, at time.Time) SigningKey {
	k := SigningKey{Seed: vault.NewSecret(seed), CreatedAt: at}
	if private := k.Private(); private != nil {
		public := base64.RawURLEncoding.EncodeToString(private.Public().(ed25519.PublicKey))
		sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + public + `"}`))
		k.ID = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return k
}

// Private is the key that signs; nil when the seed is none.
func (k SigningKey) Private() ed25519.PrivateKey {
	seed, err := base64.StdEncoding.DecodeString(k.Seed.Reveal())
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil
	}
	return ed25519.NewKeyFromSeed(seed)
}

// SigningSince is when key i begins to sign. The oldest one always could, so that
// a key which had to go is replaced at once.
func (s Settings) SigningSince(i int) time.Time {
	if i == 0 {
		return time.Time{}
	}
	return s.SigningKeys[i].CreatedAt.Add(SigningKeyLead)
}

// VerifyingUntil is until when tokens of key i are accepted; zero while no other
// key takes its place.
func (s Settings) VerifyingUntil(i int) time.Time {
	if i+1 == len(s.SigningKeys) {
		return time.Time{}
	}
	return s.SigningSince(i + 1).Add(SigningKeyOverlap)
}

// WithSigningKey returns a copy of s with one more key and without those whose
// tokens have ended; false when there are too many.
func (s Settings) WithSigningKey(k SigningKey) (Settings, bool) {
	ended := 0
	for i := range s.SigningKeys {
		if until := s.VerifyingUntil(i); !until.IsZero() && until.Before(k.CreatedAt) {
			ended = i + 1
		}
	}
	s.SigningKeys = slices.Clone(s.SigningKeys[ended:])
	if len(s.SigningKeys) >= MaxSigningKeys {
		return s, false
	}
	s.SigningKeys = append(s.SigningKeys, k)
	return s, true
}
