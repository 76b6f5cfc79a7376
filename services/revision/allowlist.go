package revision

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tenantry/api/errcode"
	"tenantry/api/session"
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

// breaks finds out which saved operations the change breaks. What breaks operations of
// the allow-list for roles that it concerns is refused; the rest is told. A project has
// to be able to follow its databases, so that a change of the catalogs alone is never
// refused; nor is one of the policy, which may have to deny something at once.
func (d *draft) breaks(ctx context.Context, force bool) error {
	byPolicy, err := d.policyBreaks(ctx)
	if err != nil {
		return err
	}
	if err := d.metadataBreaks(force); err != nil {
		return err
	}
	d.out.Broken.Operations = append(d.out.Broken.Operations, byPolicy.Operations...)
	d.out.Broken.Endpoints = append(d.out.Broken.Endpoints, byPolicy.Endpoints...)
	return nil
}

// metadataBreaks is breaks of what the roles' schemas lose.
func (d *draft) metadataBreaks(force bool) error {
	if !d.metadataChanged && len(d.catalogsChanged)+len(d.catalogsGone) == 0 {
		return nil
	}
	old, err := metadata.Decode(d.before.Document)
	if err != nil {
		return fmt.Errorf("stored metadata: %w", err)
	}
	if len(old.Allowlist)+len(old.RESTEndpoints) == 0 {
		return nil
	}
	was, is := side(old, d.before.Catalogs, d.before.Settings), side(d.out.Document, d.out.Catalogs, d.out.Settings)
	d.out.Broken = impact.Breaks(was, is)
	if force || !d.metadataChanged || !watched(d.out.Settings) {
		return nil
	}
	refused := slices.DeleteFunc(slices.Clone(d.out.Broken.Operations), func(o impact.BrokenOperation) bool {
		return o.Role == session.Admin || modeOf(d.out.Settings, o.Role) == settings.AllowlistModes[0]
	})
	if len(refused) > 0 {
		return &BrokenOperations{refused}
	}
	return nil
}

// maxTold bounds what is told of broken operations, and of endpoints, at once.
const maxTold = 20

// told is what the audit says of broken operations.
func told(detail map[string]any, b impact.Broken) {
	var operations, endpoints []string
	for _, o := range b.Operations[:min(maxTold, len(b.Operations))] {
		operations = append(operations, o.Collection+"/"+o.Query+" "+o.Role)
	}
	for _, e := range b.Endpoints[:min(maxTold, len(b.Endpoints))] {
		endpoints = append(endpoints, e.Name+" "+e.Role)
	}
	if operations != nil {
		detail["broken_operations"] = operations
	}
	if endpoints != nil {
		detail["broken_endpoints"] = endpoints
	}
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
