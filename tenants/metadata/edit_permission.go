package metadata

import (
	"slices"

	"tenantry/api/errcode"
)

// CreatePermissionArgs are the arguments of the four that create a permission;
// R is the rule of the kind.
type CreatePermissionArgs[R any] struct {
	Source     string    `json:"source,omitempty"`
	Table      TableName `json:"table"`
	Role       string    `json:"role"`
	Permission R         `json:"permission"`
	Comment    string    `json:"comment,omitempty"`
}

// DropPermissionArgs are the arguments of the four that drop a permission.
type DropPermissionArgs struct {
	Source string    `json:"source,omitempty"`
	Table  TableName `json:"table"`
	Role   string    `json:"role"`
}

// permissions is one of a table's four lists.
type permissions[P any] struct {
	kind string
	list func(*Table) *[]P
	role func(P) string
}

var (
	selects = permissions[SelectPermission]{"select",
		func(t *Table) *[]SelectPermission { return &t.SelectPermissions }, func(p SelectPermission) string { return p.Role }}
	inserts = permissions[InsertPermission]{"insert",
		func(t *Table) *[]InsertPermission { return &t.InsertPermissions }, func(p InsertPermission) string { return p.Role }}
	updates = permissions[UpdatePermission]{"update",
		func(t *Table) *[]UpdatePermission { return &t.UpdatePermissions }, func(p UpdatePermission) string { return p.Role }}
	deletes = permissions[DeletePermission]{"delete",
		func(t *Table) *[]DeletePermission { return &t.DeletePermissions }, func(p DeletePermission) string { return p.Role }}
)

func (l permissions[P]) create(doc *Document, source string, table TableName, p P) (*Document, error) {
	if err := notEmpty(l.role(p), "role"); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		t, err := d.table(source, table)
		if err != nil {
			return err
		}
		list := l.list(t)
		if slices.ContainsFunc(*list, func(other P) bool { return l.role(other) == l.role(p) }) {
			return fail(errcode.AlreadyExists, "%s permission already defined on table %q with role %q", l.kind, table, l.role(p))
		}
		*list = append(*list, p)
		one := Table{Table: table}
		*l.list(&one) = []P{p}
		return problemsOf(func(c *decoder) { c.table(&one, "$") })
	})
}

func (l permissions[P]) drop(doc *Document, args DropPermissionArgs) (*Document, error) {
	return edit(doc, func(d *Document) error {
		t, err := d.table(args.Source, args.Table)
		if err != nil {
			return err
		}
		list := l.list(t)
		at := slices.IndexFunc(*list, func(p P) bool { return l.role(p) == args.Role })
		if at < 0 {
			return fail(errcode.NotExists, "%s permission on %q for role %q does not exist", l.kind, args.Table, args.Role)
		}
		*list = slices.Delete(*list, at, at+1)
		return nil
	})
}

// CreateSelectPermission lets a role read rows.
func CreateSelectPermission(doc *Document, args CreatePermissionArgs[SelectRule]) (*Document, error) {
	return selects.create(doc, args.Source, args.Table, SelectPermission{args.Role, args.Comment, args.Permission})
}

// CreateInsertPermission lets a role insert rows.
func CreateInsertPermission(doc *Document, args CreatePermissionArgs[InsertRule]) (*Document, error) {
	return inserts.create(doc, args.Source, args.Table, InsertPermission{args.Role, args.Comment, args.Permission})
}

// CreateUpdatePermission lets a role update rows.
func CreateUpdatePermission(doc *Document, args CreatePermissionArgs[UpdateRule]) (*Document, error) {
	return updates.create(doc, args.Source, args.Table, UpdatePermission{args.Role, args.Comment, args.Permission})
}

// CreateDeletePermission lets a role delete rows.
func CreateDeletePermission(doc *Document, args CreatePermissionArgs[DeleteRule]) (*Document, error) {
	return deletes.create(doc, args.Source, args.Table, DeletePermission{args.Role, args.Comment, args.Permission})
}

// DropSelectPermission takes a role's permission to read.
func DropSelectPermission(doc *Document, args DropPermissionArgs) (*Document, error) {
	return selects.drop(doc, args)
}

// DropInsertPermission takes a role's permission to insert.
func DropInsertPermission(doc *Document, args DropPermissionArgs) (*Document, error) {
	return inserts.drop(doc, args)
}

// DropUpdatePermission takes a role's permission to update.
func DropUpdatePermission(doc *Document, args DropPermissionArgs) (*Document, error) {
	return updates.drop(doc, args)
}

// DropDeletePermission takes a role's permission to delete.
func DropDeletePermission(doc *Document, args DropPermissionArgs) (*Document, error) {
	return deletes.drop(doc, args)
}
