package operation

import "github.com/vektah/gqlparser/v2/ast"

// storeEnums puts the values of the database in the place of the names of enum
// tables' values, where they differ. It runs after the text was hashed; the
// document is not printed again.
func (op *Operation) storeEnums() {
	var value func(v *ast.Value, t *ast.Type)
	value = func(v *ast.Value, t *ast.Type) {
		if t == nil {
			return
		}
		switch v.Kind {
		case ast.ListValue:
			for _, c := range v.Children {
				if t.Elem != nil {
					value(c.Value, t.Elem)
				}
			}
		case ast.EnumValue:
			v.Raw = op.schema.StoredEnum(t.Name(), v.Raw)
		case ast.ObjectValue:
			d := op.types[t.Name()]
			if d == nil {
				return
			}
			for _, c := range v.Children {
				if f := d.Fields.ForName(c.Name); f != nil {
					value(c.Value, f.Type)
				}
			}
		}
	}
	var walk func(set ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				for _, a := range s.Arguments {
					if s.Definition == nil {
						break
					}
					if arg := s.Definition.Arguments.ForName(a.Name); arg != nil {
						value(a.Value, arg.Type)
					}
				}
				walk(s.SelectionSet)
			case *ast.InlineFragment:
				walk(s.SelectionSet)
			}
		}
	}
	if !op.schema.RenamesEnums() {
		return
	}
	walk(op.Def.SelectionSet)
	for _, f := range op.Doc.Fragments {
		walk(f.SelectionSet)
	}
}
