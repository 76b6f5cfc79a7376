package metadataapi

import (
	"context"
	"encoding/json"

	"tenantry/api/errcode"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// trackTable also takes a bare table name as its arguments, and the schema beside
// the name: the first forms of the command, which setups of the dialect still use.
func trackTable(ctx context.Context, c call) (any, error) {
	args, err := trackArgs(c)
	if err != nil {
		return nil, err
	}
	return success, c.track(ctx, args)
}

func (c call) track(ctx context.Context, args metadata.TrackTableArgs) error {
	return c.edit(ctx, tableName(args.Source, args.Table), func(doc *metadata.Document) (*metadata.Document, error) {
		return metadata.TrackTable(doc, args)
	})
}

func trackArgs(c call) (metadata.TrackTableArgs, error) {
	return tableArgs(c, func(name metadata.TableName) metadata.TrackTableArgs { return metadata.TrackTableArgs{Table: name} })
}

// tableArgs are the arguments of a command about a table: {table, …}, with the
// schema inside of table or beside it, or a bare name.
func tableArgs[A any](c call, bare func(metadata.TableName) A) (A, error) {
	if !has(c.Args, "table") && (has(c.Args, "name") || c.Args[0] != '{') {
		name, err := decodeArgs[metadata.TableName](c)
		return bare(name), err
	}
	args, err := joined(c.Args, "table")
	if err != nil {
		var none A
		return none, err
	}
	c.Args = args
	return decodeArgs[A](c)
}

// joined moves the schema from beside a name to where it belongs. A name that
// holds its schema is left alone.
func joined(args json.RawMessage, key string) (json.RawMessage, error) {
	var keys map[string]json.RawMessage
	// What is no object is told of when the arguments are decoded.
	_ = json.Unmarshal(args, &keys)
	if keys["schema"] == nil || len(keys[key]) == 0 || keys[key][0] != '"' {
		return args, nil
	}
	name, err := json.Marshal(map[string]json.RawMessage{"name": keys[key], "schema": keys["schema"]})
	if err != nil {
		return nil, err
	}
	keys[key] = name
	delete(keys, "schema")
	return json.Marshal(keys)
}

// has reports whether arguments are an object with a key.
func has(args json.RawMessage, key string) bool {
	var keys map[string]json.RawMessage
	if json.Unmarshal(args, &keys) != nil {
		return false
	}
	_, found := keys[key]
	return found
}

// untrackTable needs the model, which knows where a foreign key leads.
func untrackTable(ctx context.Context, c call) (any, error) {
	args, err := tableArgs(c, func(name metadata.TableName) metadata.UntrackTableArgs { return metadata.UntrackTableArgs{Table: name} })
	if err != nil {
		return nil, err
	}
	return success, c.untrack(ctx, args)
}

func (c call) untrack(ctx context.Context, args metadata.UntrackTableArgs) error {
	targetOf := c.targetOf()
	return c.edit(ctx, "", func(doc *metadata.Document) (*metadata.Document, error) {
		return metadata.UntrackTable(doc, args, targetOf)
	})
}

type tablesArgs[T any] struct {
	Tables        []T   `json:"tables"`
	AllowWarnings *bool `json:"allow_warnings,omitempty"`
}

// trackTables tracks what can be tracked and tells of the rest, or all or none.
func trackTables(ctx context.Context, c call) (any, error) {
	args, err := decodeArgs[tablesArgs[metadata.TrackTableArgs]](c)
	if err != nil {
		return nil, err
	}
	return many(c, args, "track-table-failed", func(a metadata.TrackTableArgs) (string, error) {
		return tableName(a.Source, a.Table), c.track(ctx, a)
	})
}

func untrackTables(ctx context.Context, c call) (any, error) {
	args, err := decodeArgs[tablesArgs[metadata.UntrackTableArgs]](c)
	if err != nil {
		return nil, err
	}
	return many(c, args, "untrack-table-failed", func(a metadata.UntrackTableArgs) (string, error) {
		return tableName(a.Source, a.Table), c.untrack(ctx, a)
	})
}

func many[T any](c call, args tablesArgs[T], code string, run func(T) (string, error)) (any, error) {
	var warnings []warning
	for _, one := range args.Tables {
		var name string
		err := c.work.Attempt(func() (err error) {
			name, err = run(one)
			return err
		})
		if err != nil {
			e := errcode.From(public(err))
			if e.Code == errcode.Unexpected && e.OwnStatus() == 0 {
				return nil, err // no matter of the table
			}
			warnings = append(warnings, warning{code, name, e.Message})
		}
	}
	switch {
	case len(warnings) == 0:
		return success, nil
	case args.AllowWarnings != nil && !*args.AllowWarnings:
		return nil, errcode.New("metadata-warnings", "failed due to metadata warnings").At("$.args").WithInternal(warnings)
	case len(warnings) == len(args.Tables):
		return nil, errcode.New(errcode.InvalidConfiguration, "all tables failed").At("$.args").WithInternal(warnings).WithStatus(400)
	}
	return map[string]any{"message": "success", "warnings": warnings}, nil
}

// suggestArgs are the arguments of suggest_relationships.
type suggestArgs struct {
	Source      string               `json:"source,omitempty"`
	Tables      []metadata.TableName `json:"tables,omitempty"`
	OmitTracked bool                 `json:"omit_tracked,omitempty"`
}

// suggestion is a relationship that a foreign key makes possible.
type suggestion struct {
	Type string        `json:"type"` // object or array
	From suggestionEnd `json:"from"`
	To   suggestionEnd `json:"to"`
}

type suggestionEnd struct {
	Table      catalog.Name `json:"table"`
	Columns    []string     `json:"columns"`
	Constraint string       `json:"constraint_name,omitempty"`
}

func suggestRelationships(_ context.Context, c call) (any, error) {
	args, err := decodeArgs[suggestArgs](c)
	if err != nil {
		return nil, err
	}
	source, known, err := c.source(args.Source)
	if err != nil {
		return nil, err
	}
	asked := map[catalog.Name]bool{}
	for _, t := range args.Tables {
		asked[catalog.Name{Schema: t.Schema, Name: t.Name}] = true
	}
	tracked, existing := map[catalog.Name]bool{}, map[catalog.Name]map[string]bool{}
	for _, t := range source.Tables {
		tracked[catalog.Name{Schema: t.Table.Schema, Name: t.Table.Name}] = true
	}
	out := []suggestion{}
	for _, s := range model.SuggestRelationships(known, tracked, existing) {
		if len(asked) > 0 && (!asked[s.Table] || !asked[s.Remote]) || args.OmitTracked && c.related(source.Name, s) {
			continue
		}
		one := suggestion{Type: "object", From: suggestionEnd{s.Table, s.LocalColumns, s.Constraint}, To: suggestionEnd{s.Remote, s.RemoteColumns, ""}}
		if s.Array {
			one.Type = "array"
			one.From.Constraint, one.To.Constraint = "", s.Constraint
		}
		out = append(out, one)
	}
	return map[string]any{"relationships": out}, nil
}

// related reports whether a table has a relationship over the same columns.
func (c call) related(source string, s model.Suggestion) bool {
	t, ok := c.work.Model().Table(source, s.Table)
	if !ok {
		return false
	}
	for _, r := range t.Relationships {
		if r.Array != s.Array || r.Target.Name != s.Remote || len(r.Mapping) != len(s.LocalColumns) {
			continue
		}
		same := true
		for i, local := range s.LocalColumns {
			found := false
			for _, p := range r.Mapping {
				found = found || p.Local == local && p.Remote == s.RemoteColumns[i]
			}
			same = same && found
		}
		if same {
			return true
		}
	}
	return false
}

// source finds a source of the document and what its database has.
func (c call) source(name string) (*metadata.Source, *catalog.Catalog, error) {
	if name == "" {
		name = metadata.DefaultSource
	}
	doc := c.work.Document()
	for i := range doc.Sources {
		if doc.Sources[i].Name == name {
			known := c.work.Catalogs()[name]
			if known == nil {
				return nil, nil, errcode.New(errcode.InvalidConfiguration, "the tables of the database of source %q are not known", name).
					At("$.args.source").WithStatus(400)
			}
			return &doc.Sources[i], known, nil
		}
	}
	return nil, nil, errcode.New(errcode.NotExists, "source with name %q does not exist", name).At("$.args")
}
