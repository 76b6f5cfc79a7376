package operation

import (
	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/services/engine/schema"
)

// abstract checks the selections of a value of an interface or union: once for
// each object type that a fragment names, because those are never one object, and
// once for the fields that all of them have.
func (v *validation) abstract(target *ast.Definition, sets []ast.SelectionSet, at *path, depth int) error {
	names := []string{target.Name}
	for _, set := range sets {
		v.conditions(set, &names, map[string]bool{})
	}
	for _, name := range names {
		d := v.touch(name)
		if d == nil || name != target.Name && !v.op.schema.Possible(target.Name, name) {
			return invalid((&path{at, ".selectionSet"}).String(),
				"a fragment on type '%s' cannot be spread where type '%s' is selected", shorten(name), target.Name)
		}
		groups, err := v.collectIn(sets, name, at, true)
		if err != nil {
			return err
		}
		if err := v.groups(d, groups, at, depth); err != nil {
			return err
		}
	}
	return nil
}

// conditions adds the types that fragments of a selection set name.
func (v *validation) conditions(set ast.SelectionSet, names *[]string, spread map[string]bool) {
	add := func(name string) {
		for _, known := range *names {
			if known == name {
				return
			}
		}
		if name != "" {
			*names = append(*names, name)
		}
	}
	for _, s := range set {
		switch s := s.(type) {
		case *ast.InlineFragment:
			add(s.TypeCondition)
			v.conditions(s.SelectionSet, names, spread)
		case *ast.FragmentSpread:
			if spread[s.Name] {
				continue
			}
			spread[s.Name] = true
			f := v.op.fragments[s.Name]
			add(f.TypeCondition)
			v.conditions(f.SelectionSet, names, spread)
		}
	}
}

// applies reports whether a fragment on a type is about an object of another:
// the same, or the interface or union that it is one of.
func applies(condition, typeName string) bool {
	return condition == "" || condition == typeName || schema.Abstract(condition)
}
