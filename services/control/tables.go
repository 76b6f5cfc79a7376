package control

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"tenantry/policy/authz"
	"tenantry/services/revision"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

type tableView struct {
	Schema        string           `json:"schema"`
	Name          string           `json:"name"`
	Kind          string           `json:"kind" enum:"table,partitioned,foreign,view,materialized"`
	Comment       string           `json:"comment,omitempty"`
	Tracked       bool             `json:"tracked"`
	Columns       []columnView     `json:"columns" nullable:"false"`
	PrimaryKey    []string         `json:"primary_key" nullable:"false"`
	Relationships []suggestionView `json:"suggested_relationships" nullable:"false" doc:"Those that foreign keys make possible and that the table does not have; as if all tables were tracked."`
}

type columnView struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Nullable bool   `json:"nullable"`
}

type suggestionView struct {
	Name    string            `json:"name"`
	Kind    string            `json:"kind" enum:"object,array"`
	Table   string            `json:"table" doc:"The table at the other end."`
	Mapping map[string]string `json:"mapping" doc:"A column of this table to a column of the other."`
}

func (s *service) registerTables() {
	tag := "Tables"
	register(s, endpoint{id: "listTables", method: http.MethodGet, path: "/projects/{project}/tables", class: authz.ClassRead, tag: tag,
		summary: "What the database has, tracked or not"}, s.listTables)
	register(s, endpoint{id: "trackTables", method: http.MethodPost, path: "/projects/{project}/tables:track", class: authz.ClassWrite, tag: tag,
		summary: "Track tables, and relationships along their foreign keys"}, s.trackTables)
	register(s, endpoint{id: "getTable", method: http.MethodGet, path: "/projects/{project}/tables/{table}", class: authz.ClassRead, tag: tag,
		summary: "Relationships and permissions of one table"}, s.getTable)
	register(s, endpoint{id: "putTable", method: http.MethodPut, path: "/projects/{project}/tables/{table}", class: authz.ClassWrite, tag: tag,
		maxBody: 8 << 20, summary: "Set relationships and permissions of one table"}, s.putTable)
}

func tableName(n catalog.Name) metadata.TableName {
	return metadata.TableName{Schema: n.Schema, Name: n.Name}
}

// trackedIn are the tables of the default source that a document has.
func trackedIn(doc *metadata.Document) map[catalog.Name]*metadata.Table {
	tracked := map[catalog.Name]*metadata.Table{}
	for i := range doc.Sources {
		if src := &doc.Sources[i]; src.Name == metadata.DefaultSource {
			for j := range src.Tables {
				t := &src.Tables[j]
				tracked[catalog.Name{Schema: t.Table.Schema, Name: t.Table.Name}] = t
			}
		}
	}
	return tracked
}

func (s *service) listTables(ctx context.Context, c *call, in *ListProjectInput) (*page[tableView], error) {
	found, err := s.Revisions.Catalog(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	current, err := s.Revisions.Current(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	tracked := trackedIn(current.Document)
	every := map[catalog.Name]bool{}
	for _, t := range found.Tables {
		every[t.Name] = true
	}
	suggested := map[catalog.Name][]suggestionView{}
	for _, r := range missing(found, every, tracked) {
		suggested[r.Table] = append(suggested[r.Table], viewSuggestion(r))
	}
	tables := slices.Clone(found.Tables)
	key := func(t catalog.Table) string { return t.Schema + "\x00" + t.Name.Name }
	slices.SortFunc(tables, func(a, b catalog.Table) int { return strings.Compare(key(a), key(b)) })
	items, next, err := cut(tables, in.PageInput, key)
	if err != nil {
		return nil, err
	}
	out := pageOf(items, "", func(t catalog.Table) tableView { return viewTable(t, tracked[t.Name] != nil, suggested[t.Name]) })
	if next != "" {
		out.Body.NextCursor = &next
	}
	return out, nil
}

func viewTable(t catalog.Table, tracked bool, suggested []suggestionView) tableView {
	v := tableView{
		Schema: t.Schema, Name: t.Name.Name, Kind: string(t.Kind), Comment: t.Comment, Tracked: tracked,
		Columns: []columnView{}, PrimaryKey: []string{}, Relationships: suggested,
	}
	if suggested == nil {
		v.Relationships = []suggestionView{}
	}
	for _, column := range t.Columns {
		v.Columns = append(v.Columns, columnView{column.Name, column.Type.Name + strings.Repeat("[]", column.Type.Dimensions), column.Nullable})
	}
	if t.PrimaryKey != nil {
		v.PrimaryKey = t.PrimaryKey.Columns
	}
	return v
}

func viewSuggestion(r model.Suggestion) suggestionView {
	v := suggestionView{Name: r.Name, Kind: "object", Table: r.Remote.String(), Mapping: map[string]string{}}
	if r.Array {
		v.Kind = "array"
	}
	for i := range r.LocalColumns {
		v.Mapping[r.LocalColumns[i]] = r.RemoteColumns[i]
	}
	return v
}

// missing are the suggested relationships between tables that the metadata does
// not have.
func missing(c *catalog.Catalog, among map[catalog.Name]bool, tracked map[catalog.Name]*metadata.Table) []model.Suggestion {
	taken := map[catalog.Name]map[string]bool{}
	for name, t := range tracked {
		taken[name] = map[string]bool{}
		for _, r := range append(slices.Clone(t.ObjectRelationships), t.ArrayRelationships...) {
			taken[name][r.Name] = true
		}
	}
	return slices.DeleteFunc(model.SuggestRelationships(c, among, taken), func(r model.Suggestion) bool {
		t := tracked[r.Table]
		return t != nil && hasRelationship(t, r)
	})
}

// hasRelationship reports whether a table has a relationship along the foreign
// key of a suggestion, by whatever name.
func hasRelationship(t *metadata.Table, want model.Suggestion) bool {
	list := t.ObjectRelationships
	if want.Array {
		list = t.ArrayRelationships
	}
	return slices.ContainsFunc(list, func(r metadata.Relationship) bool {
		if key := r.Using.ForeignKey; key != nil {
			// Of the table itself, or of the referencing one (which for an object
			// relationship is a one-to-one key, and another relationship).
			sameEnd := key.Table == nil && !want.Array || key.Table != nil && want.Array && *key.Table == tableName(want.Remote)
			return sameEnd && slices.Equal(key.Columns, want.Columns)
		}
		m := r.Using.Manual
		if m == nil || m.RemoteTable != tableName(want.Remote) || len(m.ColumnMapping) != len(want.LocalColumns) {
			return false
		}
		for i, column := range want.LocalColumns {
			if m.ColumnMapping[column] != want.RemoteColumns[i] {
				return false
			}
		}
		return true
	})
}

// TablePath are the parameters of paths of one table.
type TablePath struct {
	ProjectPath
	Table string `path:"table" maxLength:"512" doc:"schema.table, percent-encoded; the first dot divides, one inside of the schema's name is written %2E."`
}

// name splits schema.table; the schema may be left out.
func (p TablePath) name() (metadata.TableName, error) {
	schema, table, dotted := strings.Cut(p.Table, ".")
	if !dotted {
		schema, table = "public", p.Table
	}
	n := metadata.TableName{}
	var err1, err2 error
	n.Schema, err1 = url.PathUnescape(schema)
	n.Name, err2 = url.PathUnescape(table)
	if err1 != nil || err2 != nil || n.Schema == "" || n.Name == "" {
		return n, errNotFound
	}
	return n, nil
}

func (s *service) getTable(ctx context.Context, c *call, in *TablePath) (*objectOutput, error) {
	name, err := in.name()
	if err != nil {
		return nil, err
	}
	current, err := s.Revisions.Current(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	return showTable(current, name)
}

func showTable(o revision.Outcome, name metadata.TableName) (*objectOutput, error) {
	t, ok := o.Document.Table("", name)
	if !ok {
		return nil, errNotFound
	}
	body, err := asObject(t)
	return &objectOutput{ETag: tag(o.ResourceVersion), Body: body}, err
}

type putTableInput struct {
	TablePath
	Precondition
	Forced
	Body jsonObject
}

func (s *service) putTable(ctx context.Context, c *call, in *putTableInput) (*objectOutput, error) {
	name, err := in.name()
	if err != nil {
		return nil, err
	}
	table, err := decodeTable(in.Body, name)
	if err != nil {
		return nil, err
	}
	expect, err := precondition(in.IfMatch)
	if err != nil {
		return nil, err
	}
	var at string // the table's place in the document
	o, err := s.Revisions.Apply(ctx, c.project.ID, revision.Change{
		Author: c.author(), Action: "table.update", Target: c.in("tables", name.Schema+"."+name.Name), ExpectVersion: expect, Force: in.Force,
		Metadata: func(doc *metadata.Document) (*metadata.Document, error) {
			doc = doc.Clone()
			if _, ok := doc.Table("", name); !ok {
				if doc, err = metadata.TrackTable(doc, metadata.TrackTableArgs{Table: name}); err != nil {
					return nil, err
				}
			}
			t, _ := doc.Table("", name)
			*t = *table
			at = placeOf(doc, t)
			return doc, validated(doc, at)
		},
	})
	if err != nil {
		return nil, relocated(matched(in.IfMatch, err), at)
	}
	return showTable(o, name)
}

// decodeTable reads a table; the path has named it already, so the body need
// not.
func decodeTable(body jsonObject, name metadata.TableName) (*metadata.Table, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(body, &keys); err != nil {
		return nil, invalid(wrong("", "expected an object"))
	}
	text := []byte(body)
	if _, given := keys["table"]; !given {
		own, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		rest := strings.TrimSpace(string(text))[1:]
		comma := ","
		if len(keys) == 0 {
			comma = ""
		}
		text = []byte(`{"table":` + string(own) + comma + rest)
	}
	t := &metadata.Table{}
	if err := metadata.DecodeInto(text, t); err != nil {
		return nil, err
	}
	if t.Table != name {
		return nil, invalid(wrong("/table", "expected the table that the path names, or none"))
	}
	return t, nil
}
