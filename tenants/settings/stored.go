package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tenantry/tenants/vault"
)

// stored is the form that is sealed: the settings as JSON, in which every
// secret is masked, and the secrets by their place. A new secret field needs
// nothing more than its type.
type stored struct {
	Settings Settings          `json:"settings"`
	Secrets  map[string]string `json:"secrets"`
}

// Encode returns the stored form of s, secrets in clear: only for sealing it at
// once.
func Encode(s Settings) ([]byte, error) {
	secrets, err := vault.Extract(&s)
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	text, err := json.Marshal(stored{s, secrets})
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	return text, nil
}

// Decode reads what Encode wrote. Unknown fields are passed over: a newer
// program may have written them.
func Decode(text []byte) (Settings, error) {
	var s stored
	if err := json.Unmarshal(text, &s); err != nil {
		// Not the decoder's error: it may repeat what it read.
		return Settings{}, errors.New("decode settings: not in the stored form")
	}
	seed, single := s.Secrets[singleKey]
	delete(s.Secrets, singleKey)
	if err := vault.Restore(&s.Settings, s.Secrets); err != nil {
		return Settings{}, fmt.Errorf("decode settings: %w", err)
	}
	if single && len(s.Settings.SigningKeys) == 0 {
		s.Settings.SigningKeys = []SigningKey{signingKey(seed, time.Time{})}
	}
	return s.Settings, nil
}

// singleKey is where settings had their only signing key before there could be
// several.
const singleKey = "ProjectKey"

// Clone returns a copy of s that shares nothing that can be changed.
func (s Settings) Clone() Settings {
	text, err := Encode(s)
	if err != nil {
		panic(err) // settings that were made by decoding always encode
	}
	c, err := Decode(text)
	if err != nil {
		panic(err)
	}
	return c
}
