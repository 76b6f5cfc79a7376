package settings

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// The words of AllowlistMode and AllowlistMatch; empty is the first of each.
var (
	AllowlistModes   = []string{"disabled", "audit", "enforce", "ids_only"}
	AllowlistMatches = []string{"exact", "normalized", "subset"}
)

var policyName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$`)
})

// Validate checks what is not checked by DecodeAuth, all mistakes at once; the
// error is Mistakes, with pointers into the settings.
func (s Settings) Validate() error {
	var m Mistakes
	s.validateNames(&m)
	if len(s.SigningSecrets) > MaxSigningSecrets {
		m.add("/signing_secrets", "expected at most %d active ones", MaxSigningSecrets)
	}
	for i, secret := range s.SigningSecrets {
		if !validSigningSecret(secret.Secret.Reveal()) {
			m.add(fmt.Sprintf("/signing_secrets/%d/secret", i), "expected whsec_ and base64 of 24 to 64 bytes")
		}
		if i == len(s.SigningSecrets)-1 && !secret.ExpiresAt.IsZero() {
			m.add(fmt.Sprintf("/signing_secrets/%d/expires_at", i), "expected no end of the newest secret: nothing would sign after it")
		}
	}
	if len(s.SigningKeys) > MaxSigningKeys {
		m.add("/signing_keys", "expected at most %d", MaxSigningKeys)
	}
	for i, key := range s.SigningKeys {
		if key.Private() == nil {
			m.add(fmt.Sprintf("/signing_keys/%d/seed", i), "expected base64 of %d bytes", ed25519.SeedSize)
		}
	}
	s.HandlerTLS.validate(&m, "/handler_tls")
	if s.AllowlistMode != "" && !slices.Contains(AllowlistModes, s.AllowlistMode) {
		m.add("/allowlist_mode", "expected one of %s", strings.Join(AllowlistModes, ", "))
	}
	for role, mode := range s.AllowlistRoles {
		at := below("/allowlist_roles", role)
		if role == "" || role == "admin" {
			m.add(at, "expected a role other than admin, who may send anything")
		}
		if !slices.Contains(AllowlistModes, mode) {
			m.add(at, "expected one of %s", strings.Join(AllowlistModes, ", "))
		}
	}
	if s.AllowlistMatch != "" && !slices.Contains(AllowlistMatches, s.AllowlistMatch) {
		m.add("/allowlist_match", "expected one of %s", strings.Join(AllowlistMatches, ", "))
	}
	if s.AuditSample != nil && !(*s.AuditSample >= 0 && *s.AuditSample <= 1) { // NaN is neither
		m.add("/audit_sample", "expected a number from 0 to 1")
	}
	if sample := s.DecisionLog.Sample; sample != nil && !(*sample >= 0 && *sample <= 1) {
		m.add("/decision_log/sample", "expected a number from 0 to 1")
	}
	if len(s.PolicyData) > 0 {
		v, err := decode(s.PolicyData)
		if _, ok := v.(map[string]any); err != nil || !ok {
			m.add("/policy_data", "expected one JSON object")
		}
	}
	return m.err()
}

func (s Settings) validateNames(m *Mistakes) {
	seen := map[string]bool{}
	for i, v := range s.Variables {
		at := fmt.Sprintf("/variables/%d/name", i)
		if wrong := CheckVariableName(v.Name); wrong != "" {
			m.add(at, "%s", wrong)
		}
		if seen[v.Name] {
			m.add(at, "given twice")
		}
		seen[v.Name] = true
	}
	clear(seen)
	for i, p := range s.Policies {
		at := fmt.Sprintf("/policies/%d/name", i)
		if !policyName().MatchString(p.Name) {
			m.add(at, "expected letters, digits, _, - and ., at most 100")
		}
		if seen[p.Name] {
			m.add(at, "given twice")
		}
		seen[p.Name] = true
	}
}

func validSigningSecret(text string) bool {
	encoded, ok := strings.CutPrefix(text, "whsec_")
	if !ok {
		return false
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	return err == nil && len(raw) >= 24 && len(raw) <= 64
}
