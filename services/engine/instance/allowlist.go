package instance

import (
	"fmt"

	"tenantry/api/session"
	"tenantry/api/webhook"
	"tenantry/policy/allowlist"
	"tenantry/services/engine/operation"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
)

// allowedOperations makes the allow-list of a revision: the operations of all
// collections that the metadata allows.
func allowedOperations(c Config) (*allowlist.List, error) {
	collections := map[string][]metadata.NamedQuery{}
	for _, q := range c.Document.QueryCollections {
		collections[q.Name] = q.Definition.Queries
	}
	var entries []allowlist.Entry
	for _, allowed := range c.Document.Allowlist {
		var roles []string
		if allowed.Scope != nil && !allowed.Scope.Global {
			roles = append([]string{}, allowed.Scope.Roles...)
		}
		for _, q := range collections[allowed.Collection] {
			hash, err := operation.HashText(q.Query)
			if err != nil {
				continue // never equal to an operation that parses
			}
			entries = append(entries, allowlist.Entry{Hash: hash, Collection: allowed.Collection, Name: q.Name, Roles: roles})
		}
	}
	mode := allowlist.Mode(c.Settings.AllowlistMode)
	if mode == "" {
		mode = allowlist.Disabled
	}
	return allowlist.New(mode, entries), nil
}

// checkAllowlist compares the operation's text, before it is validated: a
// caller learns nothing of the schema from an operation that is not allowed.
func (i *Instance) checkAllowlist(s session.Session, r Request, trail *Trail) error {
	if s.IsAdmin() || !i.allowlist.Active() {
		return nil
	}
	var hash string
	var err error
	if p, ok := i.prepared.GetIfPresent(keyOf(s, r)); ok {
		hash = p.operation.Hash
	} else if hash, err = operation.HashOperation(r.Query, r.OperationName); err != nil {
		return err
	}
	return i.checkListed(s, allowlist.Shape{Hash: hash, Name: r.OperationName}, trail)
}

func (i *Instance) checkListed(s session.Session, shape allowlist.Shape, trail *Trail) error {
	verdict, err := i.allowlist.Check(s.Role, shape)
	trail.Allowlist = verdict
	if err != nil {
		i.outside.Metrics.RecordAllowlistRefusal(s.Role)
	}
	return err
}

func signingKeys(s settings.Settings) ([][]byte, error) {
	var keys [][]byte
	for _, secret := range s.SigningSecrets {
		key, err := webhook.Key(secret.Secret.Reveal())
		if err != nil {
			return nil, fmt.Errorf("signing secret %s: %w", secret.ID, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
