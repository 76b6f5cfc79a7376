package metadata

import (
	"slices"

	"tenantry/api/errcode"
)

// TrackFunctionArgs are the arguments of TrackFunction.
type TrackFunctionArgs struct {
	Source        string                 `json:"source,omitempty"`
	Function      TableName              `json:"function"`
	Configuration *FunctionConfiguration `json:"configuration,omitempty"`
	Comment       string                 `json:"comment,omitempty"`
}

// FunctionArgs name a tracked function.
type FunctionArgs struct {
	Source   string    `json:"source,omitempty"`
	Function TableName `json:"function"`
}

func (s *Source) function(name TableName) (*Function, error) {
	for i := range s.Functions {
		if s.Functions[i].Function == name {
			return &s.Functions[i], nil
		}
	}
	return nil, fail(errcode.NotExists, "function %q does not exist in source: %s", name, s.Name)
}

// editFunction changes one tracked function.
func editFunction(doc *Document, source string, name TableName, change func(*Function) error) (*Document, error) {
	return edit(doc, func(d *Document) error {
		s, err := d.source(source)
		if err != nil {
			return err
		}
		f, err := s.function(name)
		if err != nil {
			return err
		}
		return change(f)
	})
}

// TrackFunction exposes a SQL function.
func TrackFunction(doc *Document, args TrackFunctionArgs) (*Document, error) {
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Source)
		if err != nil {
			return err
		}
		if _, err := s.function(args.Function); err == nil {
			return fail(errcode.AlreadyTracked, "function already tracked: %q", args.Function)
		}
		if s.find(args.Function) >= 0 {
			return fail(errcode.NotSupported, "table with name %q already exists", args.Function)
		}
		f := Function{Function: args.Function, Comment: args.Comment, Configuration: args.Configuration}
		if err := problemsOf(func(c *decoder) { c.function(f, "$") }); err != nil {
			return err
		}
		s.Functions = append(s.Functions, f)
		return nil
	})
}

// UntrackFunction removes a function with its permissions.
func UntrackFunction(doc *Document, args FunctionArgs) (*Document, error) {
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Source)
		if err != nil {
			return err
		}
		if _, err := s.function(args.Function); err != nil {
			return err
		}
		s.Functions = slices.DeleteFunc(s.Functions, func(f Function) bool { return f.Function == args.Function })
		return nil
	})
}

// CustomizeFunctionArgs are the arguments of SetFunctionCustomization.
type CustomizeFunctionArgs struct {
	Source        string                 `json:"source,omitempty"`
	Function      TableName              `json:"function"`
	Configuration *FunctionConfiguration `json:"configuration,omitempty"`
}

// SetFunctionCustomization replaces the configuration of a function.
func SetFunctionCustomization(doc *Document, args CustomizeFunctionArgs) (*Document, error) {
	return editFunction(doc, args.Source, args.Function, func(f *Function) error {
		f.Configuration = args.Configuration
		return problemsOf(func(c *decoder) { c.function(*f, "$") })
	})
}

// FunctionPermissionArgs are the arguments of CreateFunctionPermission and
// DropFunctionPermission.
type FunctionPermissionArgs struct {
	Source   string    `json:"source,omitempty"`
	Function TableName `json:"function"`
	Role     string    `json:"role"`
}

// CreateFunctionPermission lets a role call a function.
func CreateFunctionPermission(doc *Document, args FunctionPermissionArgs) (*Document, error) {
	if err := notEmpty(args.Role, "role"); err != nil {
		return nil, err
	}
	return editFunction(doc, args.Source, args.Function, func(f *Function) error {
		if slices.Contains(f.Permissions, FunctionPermission{args.Role}) {
			return fail(errcode.AlreadyExists, "permission of role %q already exists for function %q in source: %s",
				args.Role, args.Function, orDefault(args.Source))
		}
		f.Permissions = append(f.Permissions, FunctionPermission{args.Role})
		return nil
	})
}

// DropFunctionPermission takes a role's permission to call a function.
func DropFunctionPermission(doc *Document, args FunctionPermissionArgs) (*Document, error) {
	return editFunction(doc, args.Source, args.Function, func(f *Function) error {
		at := slices.Index(f.Permissions, FunctionPermission{args.Role})
		if at < 0 {
			return fail(errcode.NotExists, "permission of role %q does not exist for function %q in source: %s",
				args.Role, args.Function, orDefault(args.Source))
		}
		f.Permissions = slices.Delete(f.Permissions, at, at+1)
		return nil
	})
}

func orDefault(source string) string {
	if source == "" {
		return DefaultSource
	}
	return source
}

// ComputedFieldArgs are the arguments of AddComputedField.
type ComputedFieldArgs struct {
	Source     string                  `json:"source,omitempty"`
	Table      TableName               `json:"table"`
	Name       string                  `json:"name"`
	Definition ComputedFieldDefinition `json:"definition"`
	Comment    *string                 `json:"comment,omitempty"`
}

// AddComputedField adds a field to a table that a function computes.
func AddComputedField(doc *Document, args ComputedFieldArgs) (*Document, error) {
	if err := notEmpty(args.Name, "name"); err != nil {
		return nil, err
	}
	if _, ok := doc.Table(args.Source, args.Table); !ok {
		return nil, errcode.New(errcode.NotExists, "table %q does not exist in source: %s", args.Table, orDefault(args.Source)).At("$.args.table")
	}
	return editTable(doc, args.Source, args.Table, func(t *Table) error {
		if slices.ContainsFunc(t.ComputedFields, func(c ComputedField) bool { return c.Name == args.Name }) {
			return fail(errcode.AlreadyExists, "computed field %q already exists in table %q", args.Name, args.Table)
		}
		t.ComputedFields = append(t.ComputedFields, ComputedField{Name: args.Name, Comment: args.Comment, Definition: args.Definition})
		return nil
	})
}

// DropComputedFieldArgs are the arguments of DropComputedField.
type DropComputedFieldArgs struct {
	Source  string    `json:"source,omitempty"`
	Table   TableName `json:"table"`
	Name    string    `json:"name"`
	Cascade bool      `json:"cascade,omitempty"`
}

// DropComputedField removes a computed field. Permissions that list or use it
// forbid it, or go too if args say cascade.
func DropComputedField(doc *Document, args DropComputedFieldArgs, targetOf TargetOf) (*Document, error) {
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Source)
		if err != nil {
			return err
		}
		t, err := d.table(args.Source, args.Table)
		if err != nil {
			return err
		}
		named := func(c ComputedField) bool { return c.Name == args.Name }
		if !slices.ContainsFunc(t.ComputedFields, named) {
			return fail(errcode.NotExists, "computed field %q does not exist in table %q", args.Name, args.Table)
		}
		f := &following{source: s, document: d, targetOf: targetOf}
		on := newDependents()
		hit := func(table TableName, name string) bool { return table == args.Table && name == args.Name }
		f.using(on, hit, nil, nil)
		for _, p := range t.SelectPermissions {
			if slices.Contains(p.Permission.ComputedFields, args.Name) {
				on.permissions[permissionKey{t.Table, "select", p.Role}] = true
			}
		}
		if names := on.names(s.Name); len(names) > 0 && !args.Cascade {
			return dependency(names)
		}
		on.drop(s)
		t.ComputedFields = slices.DeleteFunc(t.ComputedFields, named)
		return nil
	})
}
