package instance

import (
	"fmt"

	"tenantry/api/webhook"
	"tenantry/tenants/settings"
)

// signingKeys decodes the secrets that sign calls, each with its end: whether one has
// ended is asked when a call is signed, as an instance outlives a rotation.
func signingKeys(s settings.Settings) ([]webhook.SigningKey, error) {
	var keys []webhook.SigningKey
	for _, secret := range s.SigningSecrets {
		key, err := webhook.Key(secret.Secret.Reveal())
		if err != nil {
			return nil, fmt.Errorf("signing secret %s: %w", secret.ID, err)
		}
		keys = append(keys, webhook.SigningKey{Key: key, Until: secret.ExpiresAt})
	}
	return keys, nil
}

// SigningKeys sign the calls of the project's URLs.
func (i *Instance) SigningKeys() []webhook.SigningKey { return i.executor.Caller.SigningKeys }
