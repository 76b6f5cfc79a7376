// Package vault keeps secrets from leaking: a type that no printer, encoder or
// logger can show, encryption of what is stored, and hashes of what only needs
// to be recognised. tenants/settings marks its secrets with the type,
// tenants/store seals what it writes.
package vault

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Masked is what a Secret shows to every printer and encoder.
const Masked = "***"

// Secret is a text that can't be shown by accident: fmt, encoding/json,
// encoding/xml, encoding/gob and log/slog all see Masked, also when the Secret
// lies in an unexported field. Only Reveal gives the text.
//
// The zero Secret is empty. Compare with Equal; == compares identities.
type Secret struct {
	// A pointer, because fmt prints the fields of unexported struct fields by
	// reflection, without calling their methods: there it shows an address.
	text *string
}

// NewSecret wraps a text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the text. Every call of it is a place to review.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether the secret is empty; "omitzero" asks it.
func (s Secret) IsZero() bool { return s.text == nil }

// Equal compares two secrets in a time that does not depend on where they
// differ.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String returns Masked.
func (Secret) String() string { return Masked }

// GoString returns Masked.
func (Secret) GoString() string { return Masked }

// Format writes Masked for every verb and flag.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Masked) }

// LogValue returns Masked.
func (Secret) LogValue() slog.Value { return slog.StringValue(Masked) }

// MarshalJSON returns Masked as a JSON string.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Masked + `"`), nil }

// MarshalText returns Masked: for XML, YAML and keys of maps.
func (Secret) MarshalText() ([]byte, error) { return []byte(Masked), nil }

// GobEncode returns Masked.
func (Secret) GobEncode() ([]byte, error) { return []byte(Masked), nil }

// UnmarshalJSON takes a secret from a JSON string, or empties it for null.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var text *string
	if err := json.Unmarshal(data, &text); err != nil {
		// The decoder's own error could repeat the value.
		return fmt.Errorf("a secret must be a string")
	}
	if text == nil {
		*s = Secret{}
		return nil
	}
	*s = NewSecret(*text)
	return nil
}

// UnmarshalText takes a secret from a text: for flags and environment.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}
