package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tenantry/services/revision"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// tableChoice is "all" or a list of tables.
type tableChoice struct {
	all  bool
	list []metadata.TableName
}

// Schema of the choice in the OpenAPI document.
func (tableChoice) Schema(huma.Registry) *huma.Schema {
	text := &huma.Schema{Type: huma.TypeString, MinLength: ptr(1)}
	object := &huma.Schema{Type: huma.TypeObject, Required: []string{"name"}, AdditionalProperties: false, Properties: map[string]*huma.Schema{
		"schema": text, "name": text,
	}}
	object.PrecomputeMessages()
	text.PrecomputeMessages()
	all := &huma.Schema{Type: huma.TypeString, Enum: []any{"all"}}
	all.PrecomputeMessages()
	return &huma.Schema{OneOf: []*huma.Schema{
		all,
		{Type: huma.TypeArray, Items: &huma.Schema{OneOf: []*huma.Schema{text, object}}},
	}, Description: `"all", or tables as {schema, name} or names in the schema public`}
}

func ptr[T any](v T) *T { return &v }

// UnmarshalJSON reads either form.
func (t *tableChoice) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte(`"`)) {
		t.all = true
		return nil
	}
	return json.Unmarshal(data, &t.list)
}

type trackInput struct {
	ProjectPath
	Body struct {
		Tables        tableChoice `json:"tables"`
		Relationships bool        `json:"relationships,omitempty" doc:"Also make relationships along foreign keys between tracked tables."`
	}
}

type trackOutput struct {
	Body struct {
		Tracked       int           `json:"tracked" doc:"Number of tables that are tracked now and were not before."`
		Relationships int           `json:"relationships" doc:"Number of relationships made."`
		Skipped       []skippedView `json:"skipped" nullable:"false"`
	}
}

type skippedView struct {
	Table  string `json:"table"`
	Reason string `json:"reason"`
}

// tracking is one attempt to track tables.
type tracking struct {
	found         *catalog.Catalog
	wanted        []catalog.Name
	relationships bool
	refused       map[catalog.Name]string // tables that would not resolve

	// What the edit did, and where.
	tracked, related int
	places           map[string]catalog.Name // path in the document → table
}

func (s *service) trackTables(ctx context.Context, c *call, in *trackInput) (*trackOutput, error) {
	found, err := s.Revisions.Catalog(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	out := &trackOutput{}
	out.Body.Skipped = []skippedView{}
	t := &tracking{found: found, relationships: in.Body.Relationships, refused: map[catalog.Name]string{}}
	t.choose(in.Body.Tables, func(name catalog.Name, reason string) {
		out.Body.Skipped = append(out.Body.Skipped, skippedView{name.String(), reason})
	})
	change := revision.Change{
		Author: c.author(), Action: "table.track", Target: c.in("tables"), Introspect: true, Metadata: t.edit,
		Detail: map[string]any{"tables": len(t.wanted), "all": in.Body.Tables.all},
	}
	_, err = s.Revisions.Apply(ctx, c.project.ID, change)
	// A table that would not resolve is left out, not the others with it.
	for err != nil && t.leaveOut(err) {
		_, err = s.Revisions.Apply(ctx, c.project.ID, change)
	}
	if err != nil {
		return nil, err
	}
	for name, reason := range t.refused {
		out.Body.Skipped = append(out.Body.Skipped, skippedView{name.String(), reason})
	}
	slices.SortFunc(out.Body.Skipped, func(a, b skippedView) int { return strings.Compare(a.Table, b.Table) })
	out.Body.Tracked, out.Body.Relationships = t.tracked, t.related
	return out, nil
}

// choose settles which tables are meant.
func (t *tracking) choose(choice tableChoice, skip func(catalog.Name, string)) {
	if choice.all {
		for _, table := range t.found.Tables {
			t.wanted = append(t.wanted, table.Name)
		}
		return
	}
	for _, n := range choice.list {
		name := catalog.Name{Schema: n.Schema, Name: n.Name}
		if _, ok := t.found.Table(name); !ok {
			skip(name, "the database has no such table or view")
		} else if !slices.Contains(t.wanted, name) {
			t.wanted = append(t.wanted, name)
		}
	}
}

// edit adds the tables and relationships that the document does not have.
func (t *tracking) edit(doc *metadata.Document) (*metadata.Document, error) {
	t.tracked, t.related, t.places = 0, 0, map[string]catalog.Name{}
	var err error
	wanted := map[catalog.Name]bool{}
	for _, name := range t.wanted {
		if t.refused[name] != "" {
			continue
		}
		wanted[name] = true
		if _, already := doc.Table("", tableName(name)); already {
			continue
		}
		if doc, err = metadata.TrackTable(doc, metadata.TrackTableArgs{Table: tableName(name)}); err != nil {
			return nil, err
		}
		table, _ := doc.Table("", tableName(name))
		t.places[placeOf(doc, table)] = name
		t.tracked++
	}
	if !t.relationships {
		return doc, nil
	}
	tracked := trackedIn(doc)
	among := map[catalog.Name]bool{}
	for name := range tracked {
		among[name] = true
	}
	for _, r := range missing(t.found, among, tracked) {
		if !wanted[r.Table] && !wanted[r.Remote] {
			continue
		}
		if doc, err = relate(doc, r); err != nil {
			return nil, err
		}
		t.related++
	}
	return doc, nil
}

// relate adds a suggested relationship.
func relate(doc *metadata.Document, r model.Suggestion) (*metadata.Document, error) {
	args := metadata.CreateRelationshipArgs{Table: tableName(r.Table), Name: r.Name}
	if r.Array {
		remote := tableName(r.Remote)
		args.Using.ForeignKey = &metadata.ForeignKeyOn{Table: &remote, Columns: r.Columns}
		return metadata.CreateArrayRelationship(doc, args)
	}
	args.Using.ForeignKey = &metadata.ForeignKeyOn{Columns: r.Columns}
	return metadata.CreateObjectRelationship(doc, args)
}

// leaveOut notes the tables of this attempt that would not resolve; false when
// there are none, and trying again can't help.
func (t *tracking) leaveOut(err error) bool {
	var inconsistent *revision.Inconsistent
	if !errors.As(err, &inconsistent) {
		return false
	}
	more := false
	for _, o := range inconsistent.Objects {
		for place, name := range t.places {
			if o.Pointer == place || strings.HasPrefix(o.Pointer, place+".") {
				if t.refused[name] == "" {
					t.refused[name], more = fmt.Sprint(o.Reason), true
				}
			}
		}
	}
	return more
}
