package revision

import (
	"fmt"
	"strings"

	"tenantry/api/errcode"
	"tenantry/services/engine/impact"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
)

// BrokenOperations refuses a change after which operations that stay in the
// allow-list would no longer be valid for roles that could send them.
type BrokenOperations struct {
	Operations []impact.BrokenOperation
}

// Error names the operations.
func (e *BrokenOperations) Error() string {
	var names []string
	for i, o := range e.Operations {
		if i == 3 {
			names = append(names, fmt.Sprintf("%d more", len(e.Operations)-i))
			break
		}
		names = append(names, fmt.Sprintf("%q of %s for the role %s (%s)", o.Query, o.Collection, o.Role, o.Reason))
	}
	return "operations of the allow-list would break: " + strings.Join(names, ", ") + "; use force to make the change all the same"
}

// Unwrap gives the public error.
func (e *BrokenOperations) Unwrap() error {
	return errcode.New(errcode.DependencyError, "%s", e.Error()).WithInternal(e.Operations)
}

// keepsAllowed refuses what breaks operations of the allow-list, for roles that it
// concerns. A project has to be able to follow its databases, so that a change of
// the catalogs alone is never refused.
func (d *draft) keepsAllowed(force bool) error {
	if force || !d.metadataChanged || len(d.out.Document.Allowlist) == 0 || !watched(d.out.Settings) {
		return nil
	}
	old, err := metadata.Decode(d.before.Document)
	if err != nil {
		return fmt.Errorf("stored metadata: %w", err)
	}
	was, is := side(old, d.before.Catalogs, d.before.Settings), side(d.out.Document, d.out.Catalogs, d.out.Settings)
	if broken := impact.Broken(was, is, func(role string) bool { return modeOf(d.out.Settings, role) != settings.AllowlistModes[0] }); len(broken) > 0 {
		return &BrokenOperations{broken}
	}
	return nil
}

// watched reports whether the allow-list concerns some role.
func watched(s settings.Settings) bool {
	for role := range s.AllowlistRoles {
		if modeOf(s, role) != settings.AllowlistModes[0] {
			return true
		}
	}
	return modeOf(s, "") != settings.AllowlistModes[0]
}

func modeOf(s settings.Settings, role string) string {
	mode, ok := s.AllowlistRoles[role]
	if !ok {
		mode = s.AllowlistMode
	}
	if mode == "" {
		mode = settings.AllowlistModes[0]
	}
	return mode
}
