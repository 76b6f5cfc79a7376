package operation

import (
	"github.com/vektah/gqlparser/v2/ast"
)

// collect groups the fields of selection sets that make one object.
func (v *validation) collect(sets []ast.SelectionSet, typeName string, at *path) ([]*group, error) {
	return v.collectIn(sets, typeName, at, false)
}

// collectIn is collect; among says that the object is one of several types, so
// that fragments on the others are passed over.
func (v *validation) collectIn(sets []ast.SelectionSet, typeName string, at *path, among bool) ([]*group, error) {
	c := collector{validation: v, typeName: typeName, at: at, index: map[string]*group{}, among: among}
	for _, set := range sets {
		if err := c.add(set); err != nil {
			return nil, err
		}
	}
	return c.groups, nil
}

type collector struct {
	*validation
	typeName string
	at       *path
	groups   []*group
	index    map[string]*group
	spread   map[string]bool
	among    bool
}

func (c *collector) add(set ast.SelectionSet) error {
	for _, s := range set {
		if c.visited++; c.visited > MaxSelections {
			return invalid("$.query", "the operation selects more than %d fields", MaxSelections)
		}
		switch s := s.(type) {
		case *ast.Field:
			g := c.index[s.Alias]
			if g == nil {
				g = &group{key: s.Alias}
				c.index[s.Alias] = g
				c.groups = append(c.groups, g)
			}
			g.nodes = append(g.nodes, s)
		case *ast.InlineFragment:
			if err := c.checkDirectives(s.Directives, ast.LocationInlineFragment, c.at); err != nil {
				return err
			}
			if ok, err := c.condition(s.TypeCondition); err != nil {
				return err
			} else if !ok {
				continue
			}
			if err := c.add(s.SelectionSet); err != nil {
				return err
			}
		case *ast.FragmentSpread:
			if err := c.addSpread(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *collector) addSpread(s *ast.FragmentSpread) error {
	if err := c.checkDirectives(s.Directives, ast.LocationFragmentSpread, c.at); err != nil {
		return err
	}
	if c.spread[s.Name] {
		return nil
	}
	if c.spread == nil {
		c.spread = map[string]bool{}
	}
	c.spread[s.Name] = true
	f := c.op.fragments[s.Name]
	if len(f.VariableDefinition) > 0 {
		return invalid("$.query", "the fragment definition '%s' declares variables", f.Name)
	}
	if err := c.checkDirectives(f.Directives, ast.LocationFragmentDefinition, c.at); err != nil {
		return err
	}
	if ok, err := c.condition(f.TypeCondition); err != nil || !ok {
		return err
	}
	return c.add(f.SelectionSet)
}

// condition checks a fragment's type and tells whether its fields are the
// object's: it has to be the type of the object or its interface, or among several
// types it may be another's.
func (c *collector) condition(typeName string) (bool, error) {
	switch {
	case typeName == "" || typeName == c.typeName,
		c.op.schema.Possible(typeName, c.typeName):
		return true, nil
	case c.among:
		return false, nil
	}
	return false, invalid((&path{c.at, ".selectionSet"}).String(),
		"a fragment on type '%s' cannot be spread where type '%s' is selected", typeName, c.typeName)
}
