package metadata

import (
	"encoding/json"
	"slices"

	"tenantry/api/errcode"
)

// ActionArgs are the arguments of CreateAction and UpdateAction.
type ActionArgs struct {
	Name       string           `json:"name"`
	Definition ActionDefinition `json:"definition"`
	Comment    string           `json:"comment,omitempty"`
}

func (d *Document) action(name string) (*Action, error) {
	for i := range d.Actions {
		if d.Actions[i].Name == name {
			return &d.Actions[i], nil
		}
	}
	return nil, fail(errcode.NotExists, "action with name %q does not exist", name)
}

// Action finds an action. What is returned is part of the document.
func (d *Document) Action(name string) (*Action, bool) {
	a, err := d.action(name)
	return a, err == nil
}

func (a ActionArgs) check() error {
	if err := notEmpty(a.Name, "name"); err != nil {
		return err
	}
	return problemsOf(func(c *decoder) { c.headers(a.Definition.Headers, "$.definition.headers") })
}

// CreateAction adds an action that nobody may call yet.
func CreateAction(doc *Document, args ActionArgs) (*Document, error) {
	if err := args.check(); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		if _, exists := d.Action(args.Name); exists {
			return fail(errcode.AlreadyExists, "action with name %q already exists", args.Name)
		}
		d.Actions = append(d.Actions, Action{Name: args.Name, Comment: args.Comment, Definition: args.Definition})
		return nil
	})
}

// UpdateAction replaces an action's definition and comment; its permissions stay.
func UpdateAction(doc *Document, args ActionArgs) (*Document, error) {
	if err := args.check(); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		a, err := d.action(args.Name)
		if err != nil {
			return err
		}
		a.Definition, a.Comment = args.Definition, args.Comment
		return nil
	})
}

// DropAction removes an action with its permissions.
func DropAction(doc *Document, name string) (*Document, error) {
	return edit(doc, func(d *Document) error {
		if _, err := d.action(name); err != nil {
			return err
		}
		d.Actions = slices.DeleteFunc(d.Actions, func(a Action) bool { return a.Name == name })
		return nil
	})
}

// ActionPermissionArgs are the arguments of CreateActionPermission and
// DropActionPermission.
type ActionPermissionArgs struct {
	Action  string `json:"action"`
	Role    string `json:"role"`
	Comment string `json:"comment,omitempty"`
	// Definition is taken and means nothing, as in the dialect.
	Definition json.RawMessage `json:"definition,omitempty"`
}

// CreateActionPermission lets a role call an action.
func CreateActionPermission(doc *Document, args ActionPermissionArgs) (*Document, error) {
	if err := notEmpty(args.Role, "role"); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		a, err := d.action(args.Action)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(a.Permissions, func(p ActionPermission) bool { return p.Role == args.Role }) {
			return fail(errcode.AlreadyExists, "permission for role %q is already defined on %q", args.Role, args.Action)
		}
		a.Permissions = append(a.Permissions, ActionPermission{Role: args.Role, Comment: args.Comment})
		return nil
	})
}

// DropActionPermission takes a role's permission to call an action.
func DropActionPermission(doc *Document, args ActionPermissionArgs) (*Document, error) {
	return edit(doc, func(d *Document) error {
		a, err := d.action(args.Action)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(a.Permissions, func(p ActionPermission) bool { return p.Role == args.Role })
		if at < 0 {
			return fail(errcode.NotExists, "permission for role %q is not defined on %q", args.Role, args.Action)
		}
		a.Permissions = slices.Delete(a.Permissions, at, at+1)
		return nil
	})
}
