package settings

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"time"

	"github.com/google/uuid"

	"tenantry/tenants/vault"
)

// SigningSecret signs outgoing webhook calls (contracts §14).
type SigningSecret struct {
	ID        string       `json:"id"`
	Secret    vault.Secret `json:"secret"` // whsec_<base64 of 32 bytes>
	CreatedAt time.Time    `json:"created_at"`
	// ExpiresAt is when it signs no more; zero while no other takes its place.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Active says whether the secret signs at a time.
func (s SigningSecret) Active(at time.Time) bool {
	return s.ExpiresAt.IsZero() || at.Before(s.ExpiresAt)
}

const (
	// MaxSigningSecrets is how many may be active: the old and the new one of a
	// rotation.
	MaxSigningSecrets = 2
	// SigningSecretOverlap is how long the old one goes on unless somebody says
	// otherwise: a day for whoever has to tell the handlers.
	SigningSecretOverlap = 24 * time.Hour
)

// NewSigningSecret makes a signing secret. now is the store's time.
func NewSigningSecret(now time.Time) SigningSecret {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails, by its documentation
	return SigningSecret{
		ID:        uuid.Must(uuid.NewV7()).String(),
		Secret:    vault.NewSecret("whsec_" + base64.StdEncoding.EncodeToString(random[:])),
		CreatedAt: now,
	}
}

// ActiveSigningSecrets are those that sign at a time, newest last.
func (s Settings) ActiveSigningSecrets(at time.Time) []SigningSecret {
	return slices.DeleteFunc(slices.Clone(s.SigningSecrets), func(secret SigningSecret) bool { return !secret.Active(at) })
}

// WithSigningSecret returns a copy of s with one more secret, beside which the one
// before it signs for the time of the overlap; false when there are too many.
func (s Settings) WithSigningSecret(made SigningSecret, overlap time.Duration) (Settings, bool) {
	active := s.ActiveSigningSecrets(made.CreatedAt)
	if len(active) >= MaxSigningSecrets {
		return s, false
	}
	for i := range active {
		active[i].ExpiresAt = made.CreatedAt.Add(overlap)
	}
	s.SigningSecrets = append(active, made)
	s.SigningSecrets = s.ActiveSigningSecrets(made.CreatedAt) // without overlap the old one ends now
	return s, true
}

// WithoutSigningSecret returns a copy of s without one of the active secrets; false
// when it is the only one. The one that stays has no end any more: nothing would
// take its place.
func (s Settings) WithoutSigningSecret(id string, now time.Time) (Settings, bool) {
	active := s.ActiveSigningSecrets(now)
	if len(active) < 2 {
		return s, false
	}
	s.SigningSecrets = slices.DeleteFunc(active, func(secret SigningSecret) bool { return secret.ID == id })
	s.SigningSecrets[len(s.SigningSecrets)-1].ExpiresAt = time.Time{}
	return s, true
}
