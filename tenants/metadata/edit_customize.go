package metadata

import (
	"encoding/json"

	"tenantry/api/errcode"
)

// TableArgs name a table.
type TableArgs struct {
	Source string    `json:"source,omitempty"`
	Table  TableName `json:"table"`
}

// CustomizeTableArgs are the arguments of SetTableCustomization.
type CustomizeTableArgs struct {
	Source        string              `json:"source,omitempty"`
	Table         TableName           `json:"table"`
	Configuration *TableConfiguration `json:"configuration,omitempty"`
}

// SetTableCustomization replaces the configuration of a table.
func SetTableCustomization(doc *Document, args CustomizeTableArgs) (*Document, error) {
	if args.Configuration == nil {
		args.Configuration = &TableConfiguration{}
	}
	return editTable(doc, args.Source, args.Table, func(t *Table) error {
		t.Configuration = args.Configuration
		return problemsOf(func(c *decoder) { c.table(&Table{Table: t.Table, Configuration: t.Configuration}, "$") })
	})
}

// editTable changes one tracked table.
func editTable(doc *Document, source string, name TableName, change func(*Table) error) (*Document, error) {
	return edit(doc, func(d *Document) error {
		t, err := d.table(source, name)
		if err != nil {
			return err
		}
		return change(t)
	})
}

// CustomFieldsArgs are the arguments of SetTableCustomFields: the older form of
// SetTableCustomization.
type CustomFieldsArgs struct {
	Source            string                     `json:"source,omitempty"`
	Table             TableName                  `json:"table"`
	CustomRootFields  map[string]json.RawMessage `json:"custom_root_fields,omitempty"`
	CustomColumnNames map[string]string          `json:"custom_column_names,omitempty"`
}

// SetTableCustomFields replaces the names of root fields and columns.
func SetTableCustomFields(doc *Document, args CustomFieldsArgs) (*Document, error) {
	return SetTableCustomization(doc, CustomizeTableArgs{Source: args.Source, Table: args.Table, Configuration: &TableConfiguration{
		CustomRootFields: args.CustomRootFields, CustomColumnNames: args.CustomColumnNames,
	}})
}

// TableEnumArgs are the arguments of SetTableIsEnum.
type TableEnumArgs struct {
	Source string    `json:"source,omitempty"`
	Table  TableName `json:"table"`
	IsEnum bool      `json:"is_enum"`
}

// SetTableIsEnum says whether a table's rows are the values of an enum.
func SetTableIsEnum(doc *Document, args TableEnumArgs) (*Document, error) {
	return editTable(doc, args.Source, args.Table, func(t *Table) error {
		t.IsEnum = args.IsEnum
		return nil
	})
}

// FederationArgs are the arguments of SetApolloFederation.
type FederationArgs struct {
	Source string            `json:"source,omitempty"`
	Table  TableName         `json:"table"`
	Config *ApolloFederation `json:"apollo_federation_config,omitempty"`
}

// SetApolloFederation sets or, without a config, removes a table's part in a
// federation.
func SetApolloFederation(doc *Document, args FederationArgs) (*Document, error) {
	return editTable(doc, args.Source, args.Table, func(t *Table) error {
		t.ApolloFederation = args.Config
		return problemsOf(func(c *decoder) { c.table(&Table{Table: t.Table, ApolloFederation: args.Config}, "$") })
	})
}

// RelationshipCommentArgs are the arguments of SetRelationshipComment.
type RelationshipCommentArgs struct {
	Source       string    `json:"source,omitempty"`
	Table        TableName `json:"table"`
	Relationship string    `json:"relationship"`
	Comment      string    `json:"comment,omitempty"`
}

// SetRelationshipComment sets or removes a relationship's comment.
func SetRelationshipComment(doc *Document, args RelationshipCommentArgs) (*Document, error) {
	return editTable(doc, args.Source, args.Table, func(t *Table) error {
		for _, list := range [][]Relationship{t.ObjectRelationships, t.ArrayRelationships} {
			for i := range list {
				if list[i].Name == args.Relationship {
					list[i].Comment = args.Comment
					return nil
				}
			}
		}
		return fail(errcode.NotExists, "relationship %q does not exist in table %q", args.Relationship, args.Table)
	})
}

// PermissionCommentArgs are the arguments of SetPermissionComment.
type PermissionCommentArgs struct {
	Source  string    `json:"source,omitempty"`
	Table   TableName `json:"table"`
	Role    string    `json:"role"`
	Type    string    `json:"type"` // select, insert, update or delete
	Comment string    `json:"comment,omitempty"`
}

// SetPermissionComment sets or removes a permission's comment.
func SetPermissionComment(doc *Document, args PermissionCommentArgs) (*Document, error) {
	return editTable(doc, args.Source, args.Table, func(t *Table) error {
		comment, known := t.permissionComment(args.Type, args.Role)
		switch {
		case !known:
			return errcode.New(errcode.ParseFailed, "expected select, insert, update or delete").At("$.type")
		case comment == nil:
			return fail(errcode.NotExists, "%s permission on %q for role %q does not exist", args.Type, args.Table, args.Role)
		}
		*comment = args.Comment
		return nil
	})
}

func (t *Table) permissionComment(kind, role string) (comment *string, known bool) {
	switch kind {
	case "select":
		for i := range t.SelectPermissions {
			if p := &t.SelectPermissions[i]; p.Role == role {
				comment = &p.Comment
			}
		}
	case "insert":
		for i := range t.InsertPermissions {
			if p := &t.InsertPermissions[i]; p.Role == role {
				comment = &p.Comment
			}
		}
	case "update":
		for i := range t.UpdatePermissions {
			if p := &t.UpdatePermissions[i]; p.Role == role {
				comment = &p.Comment
			}
		}
	case "delete":
		for i := range t.DeletePermissions {
			if p := &t.DeletePermissions[i]; p.Role == role {
				comment = &p.Comment
			}
		}
	default:
		return nil, false
	}
	return comment, true
}
