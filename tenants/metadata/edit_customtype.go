package metadata

import (
	"slices"

	"tenantry/api/errcode"
)

// SetCustomTypes replaces all custom types.
func SetCustomTypes(doc *Document, types CustomTypes) (*Document, error) {
	return edit(doc, func(d *Document) error {
		d.CustomTypes = &types
		return nil
	})
}

// CustomTypeArgs is one custom type: exactly one of the members is there.
type CustomTypeArgs struct {
	Scalar      *ScalarType `json:"scalar,omitempty"`
	Enum        *EnumType   `json:"enum,omitempty"`
	InputObject *InputType  `json:"input_object,omitempty"`
	Object      *ObjectType `json:"object,omitempty"`
}

// Name of the type; empty unless there is exactly one.
func (a CustomTypeArgs) Name() string {
	var names []string
	if a.Scalar != nil {
		names = append(names, a.Scalar.Name)
	}
	if a.Enum != nil {
		names = append(names, a.Enum.Name)
	}
	if a.InputObject != nil {
		names = append(names, a.InputObject.Name)
	}
	if a.Object != nil {
		names = append(names, a.Object.Name)
	}
	if len(names) != 1 {
		return ""
	}
	return names[0]
}

// AddCustomType adds a type to the others.
func AddCustomType(doc *Document, args CustomTypeArgs) (*Document, error) {
	return changeCustomType(doc, args, func(types *CustomTypes) error {
		if types.drop(args.Name()) {
			return fail(errcode.AlreadyExists, "the custom type %q is already defined", args.Name())
		}
		return nil
	})
}

// UpdateCustomType replaces a type by one of the same name.
func UpdateCustomType(doc *Document, args CustomTypeArgs) (*Document, error) {
	return changeCustomType(doc, args, func(types *CustomTypes) error {
		if !types.drop(args.Name()) {
			return noCustomType(args.Name())
		}
		return nil
	})
}

// changeCustomType puts a type where makeRoom has found room.
func changeCustomType(doc *Document, args CustomTypeArgs, makeRoom func(*CustomTypes) error) (*Document, error) {
	if args.Name() == "" {
		return nil, fail(errcode.ParseFailed, `expected exactly one of "scalar", "enum", "input_object" and "object", with a name`)
	}
	return edit(doc, func(d *Document) error {
		if d.CustomTypes == nil {
			d.CustomTypes = &CustomTypes{}
		}
		types := d.CustomTypes
		if err := makeRoom(types); err != nil {
			return err
		}
		switch {
		case args.Scalar != nil:
			types.Scalars = append(types.Scalars, *args.Scalar)
		case args.Enum != nil:
			types.Enums = append(types.Enums, *args.Enum)
		case args.InputObject != nil:
			types.InputObjects = append(types.InputObjects, *args.InputObject)
		default:
			types.Objects = append(types.Objects, *args.Object)
		}
		return nil
	})
}

// DropCustomType removes a type.
func DropCustomType(doc *Document, name string) (*Document, error) {
	return edit(doc, func(d *Document) error {
		if d.CustomTypes == nil || !d.CustomTypes.drop(name) {
			return noCustomType(name)
		}
		return nil
	})
}

// drop removes a type, if it is there.
func (t *CustomTypes) drop(name string) bool {
	before := len(t.Scalars) + len(t.Enums) + len(t.InputObjects) + len(t.Objects)
	t.Scalars = slices.DeleteFunc(t.Scalars, func(s ScalarType) bool { return s.Name == name })
	t.Enums = slices.DeleteFunc(t.Enums, func(e EnumType) bool { return e.Name == name })
	t.InputObjects = slices.DeleteFunc(t.InputObjects, func(i InputType) bool { return i.Name == name })
	t.Objects = slices.DeleteFunc(t.Objects, func(o ObjectType) bool { return o.Name == name })
	return len(t.Scalars)+len(t.Enums)+len(t.InputObjects)+len(t.Objects) < before
}

func noCustomType(name string) error {
	return fail(errcode.NotExists, "the custom type %q does not exist", name)
}
