package operation

import (
	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/services/engine/schema"
)

// checkDirectives allows include and skip on selections and cached on queries.
func (v *validation) checkDirectives(list ast.DirectiveList, location ast.DirectiveLocation, at *path) error {
	var seen map[string]bool
	for _, d := range list {
		if v.directives[d] {
			continue
		}
		v.directives[d] = true
		def := schema.Directives()[d.Name]
		if def == nil {
			return invalid(at.String(), "directive '%s' is not defined in the schema", d.Name)
		}
		allowed := false
		for _, l := range def.Locations {
			allowed = allowed || l == location
		}
		if !allowed {
			return invalid(at.String(), "directive '%s' is not allowed here", d.Name)
		}
		if seen[d.Name] {
			return invalid(at.String(), "the following directives are used more than once: ['%s']", d.Name)
		}
		if seen == nil {
			seen = map[string]bool{}
		}
		seen[d.Name] = true
		if err := v.directive(def, d, at); err != nil {
			return err
		}
	}
	return nil
}

func (v *validation) directive(def *ast.DirectiveDefinition, d *ast.Directive, at *path) error {
	at = at.key("directives").key(d.Name)
	given := map[string]bool{}
	for _, a := range d.Arguments {
		arg := def.Arguments.ForName(a.Name)
		if arg == nil || given[a.Name] {
			return invalid(at.String(), "'%s' has no argument named '%s'", d.Name, a.Name)
		}
		given[a.Name] = true
		if err := v.value(a.Value, arg.Type, place{at: at.key(a.Name), hasDefault: arg.DefaultValue != nil}); err != nil {
			return err
		}
	}
	for _, arg := range def.Arguments {
		if arg.Type.NonNull && arg.DefaultValue == nil && !given[arg.Name] {
			return invalid(at.key(arg.Name).String(), "missing required field '%s'", arg.Name)
		}
	}
	return nil
}
