package metadata

import (
	"slices"

	"tenantry/api/errcode"
)

// AddInheritedRole unites roles under a name.
func AddInheritedRole(doc *Document, args InheritedRole) (*Document, error) {
	if err := notEmpty(args.Role, "role_name"); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		at := slices.IndexFunc(d.InheritedRoles, func(r InheritedRole) bool { return r.Role == args.Role })
		if at >= 0 {
			d.InheritedRoles[at] = args
		} else {
			d.InheritedRoles = append(d.InheritedRoles, args)
		}
		return problemsOf(func(c *decoder) { c.inherited(d.InheritedRoles) })
	})
}

// DropInheritedRoleArgs are the arguments of DropInheritedRole.
type DropInheritedRoleArgs struct {
	Role string `json:"role_name"`
}

// DropInheritedRole removes an inherited role.
func DropInheritedRole(doc *Document, args DropInheritedRoleArgs) (*Document, error) {
	return edit(doc, func(d *Document) error {
		at := slices.IndexFunc(d.InheritedRoles, func(r InheritedRole) bool { return r.Role == args.Role })
		if at < 0 {
			return fail(errcode.NotExists, "%s inherited role doesn't exist", args.Role)
		}
		d.InheritedRoles = slices.Delete(d.InheritedRoles, at, at+1)
		return nil
	})
}

// CreateRESTEndpoint exposes an operation of a collection as REST.
func CreateRESTEndpoint(doc *Document, args RESTEndpoint) (*Document, error) {
	if err := notEmpty(args.Name, "name"); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		if slices.ContainsFunc(d.RESTEndpoints, func(r RESTEndpoint) bool { return r.Name == args.Name }) {
			return fail(errcode.AlreadyExists, "rest endpoint with name %q already exists", args.Name)
		}
		c, err := d.collection(args.Definition.Query.Collection)
		if err != nil {
			return err
		}
		name := args.Definition.Query.Query
		if !slices.ContainsFunc(c.Definition.Queries, func(q NamedQuery) bool { return q.Name == name }) {
			return fail(errcode.NotExists, "query with name %q does not exist in query collection %q", name, c.Name)
		}
		d.RESTEndpoints = append(d.RESTEndpoints, args)
		return nil
	})
}

// NameArgs name an object.
type NameArgs struct {
	Name string `json:"name"`
}

// DropRESTEndpoint removes a REST endpoint.
func DropRESTEndpoint(doc *Document, args NameArgs) (*Document, error) {
	return edit(doc, func(d *Document) error {
		at := slices.IndexFunc(d.RESTEndpoints, func(r RESTEndpoint) bool { return r.Name == args.Name })
		if at < 0 {
			return fail(errcode.NotExists, "rest endpoint with name %q does not exist", args.Name)
		}
		d.RESTEndpoints = slices.Delete(d.RESTEndpoints, at, at+1)
		return nil
	})
}

// SetIntrospection says which roles see no introspection.
func SetIntrospection(doc *Document, args IntrospectionSwitch) (*Document, error) {
	return edit(doc, func(d *Document) error {
		d.Introspection = &args
		return nil
	})
}

// RenameCollectionArgs are the arguments of RenameQueryCollection.
type RenameCollectionArgs struct {
	Name    string `json:"name"`
	NewName string `json:"new_name"`
}

// RenameQueryCollection renames a collection, for the allow-list and REST
// endpoints too.
func RenameQueryCollection(doc *Document, args RenameCollectionArgs) (*Document, error) {
	if err := notEmpty(args.NewName, "new_name"); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		c, err := d.collection(args.Name)
		if err != nil {
			return err
		}
		if _, err := d.collection(args.NewName); err == nil && args.NewName != args.Name {
			return fail(errcode.AlreadyExists, "query collection with name %q already exists", args.NewName)
		}
		c.Name = args.NewName
		for i := range d.Allowlist {
			if d.Allowlist[i].Collection == args.Name {
				d.Allowlist[i].Collection = args.NewName
			}
		}
		for i := range d.RESTEndpoints {
			if q := &d.RESTEndpoints[i].Definition.Query; q.Collection == args.Name {
				q.Collection = args.NewName
			}
		}
		return nil
	})
}

// SetAllowlistScope says for whom a collection of the allow-list is.
func SetAllowlistScope(doc *Document, args AllowlistEntry) (*Document, error) {
	if err := problemsOf(func(c *decoder) { c.scope(args.Scope, "$.scope") }); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		at := slices.IndexFunc(d.Allowlist, func(a AllowlistEntry) bool { return a.Collection == args.Collection })
		if at < 0 {
			return fail(errcode.NotExists, "collection %q doesn't exist in the allowlist", args.Collection)
		}
		d.Allowlist[at].Scope = args.Scope
		return nil
	})
}

// DropActionArgs are the arguments of the command that drops an action.
type DropActionArgs struct {
	Name string `json:"name"`
	// ClearData removes the runs that asynchronous calls have left; nil is true.
	ClearData *bool `json:"clear_data,omitempty"`
}
