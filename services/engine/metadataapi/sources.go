package metadataapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"tenantry/api/errcode"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
	"tenantry/tenants/vault"
)

func addSource(ctx context.Context, c call) (any, error) {
	args, err := decodeArgs[metadata.AddSourceArgs](c)
	if err != nil {
		return nil, err
	}
	if err := c.seal(args.Name, &args.Configuration); err != nil {
		return nil, err
	}
	c.work.Forget(args.Name) // its database may be another one now
	return success, c.edit(ctx, args.Name, func(doc *metadata.Document) (*metadata.Document, error) { return metadata.AddSource(doc, args) })
}

func updateSource(ctx context.Context, c call) (any, error) {
	args, err := decodeArgs[metadata.UpdateSourceArgs](c)
	if err != nil {
		return nil, err
	}
	if args.Configuration != nil {
		if err := c.seal(args.Name, args.Configuration); err != nil {
			return nil, err
		}
		c.work.Forget(args.Name)
	}
	return success, c.edit(ctx, args.Name, func(doc *metadata.Document) (*metadata.Document, error) { return metadata.UpdateSource(doc, args) })
}

// dropSource removes a source, and the variable that kept its address.
func dropSource(ctx context.Context, c call) (any, error) {
	args, err := decodeArgs[metadata.DropSourceArgs](c)
	if err != nil {
		return nil, err
	}
	err = c.edit(ctx, "", func(doc *metadata.Document) (*metadata.Document, error) { return metadata.DropSource(doc, args) })
	if err != nil {
		return nil, err
	}
	return success, c.work.Configure(func(set settings.Settings) (settings.Settings, error) {
		left, _ := set.WithoutVariable(addressVariable(args.Name))
		return left, nil
	})
}

func renameSource(ctx context.Context, c call) (any, error) {
	args, err := decodeArgs[metadata.RenameSourceArgs](c)
	if err != nil {
		return nil, err
	}
	return success, c.edit(ctx, args.NewName, func(doc *metadata.Document) (*metadata.Document, error) { return metadata.RenameSource(doc, args) })
}

// addressVariable is the variable that keeps the address of a source that was
// given as it is.
func addressVariable(source string) string {
	var b strings.Builder
	b.WriteString("SOURCE_")
	for _, r := range strings.ToUpper(source) {
		switch {
		case r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case r == '_':
			b.WriteString("__") // so that no two names meet
		default:
			fmt.Fprintf(&b, "_%X_", r)
		}
	}
	b.WriteString("_DATABASE_URL")
	return b.String()
}

// seal moves an address out of a configuration into a variable of the project:
// the metadata holds nothing secret.
func (c call) seal(name string, configuration *metadata.SourceConfiguration) error {
	info := &configuration.ConnectionInfo
	address, literal, err := literalAddress(info.DatabaseURL)
	if err != nil || !literal {
		return err
	}
	variable := addressVariable(name)
	if wrong := settings.CheckVariableName(variable); wrong != "" {
		return errcode.New(errcode.ParseFailed, "the name is too long to keep an address for: refer to a variable with from_env").At("$.name")
	}
	info.DatabaseURL, err = json.Marshal(map[string]string{"from_env": variable})
	if err != nil {
		return err
	}
	return c.work.Configure(func(set settings.Settings) (settings.Settings, error) {
		return set.WithVariable(settings.Variable{Name: variable, Value: vault.NewSecret(address), Secret: true}), nil
	})
}

// connectionParameters are an address in parts.
type connectionParameters struct {
	Host     string `json:"host"`
	Port     int    `json:"port,omitempty"`
	Username string `json:"username"`
	Password string `json:"password,omitempty"`
	Database string `json:"database"`
}

// literalAddress is the address that a database_url holds, if it holds one.
// Errors do not repeat it.
func literalAddress(text json.RawMessage) (address string, literal bool, err error) {
	text = bytes.TrimSpace(text)
	if len(text) > 0 && text[0] == '"' {
		return address, true, json.Unmarshal(text, &address)
	}
	if !has(text, "connection_parameters") {
		return "", false, nil
	}
	var form struct {
		Parameters connectionParameters `json:"connection_parameters"`
	}
	if err := metadata.DecodeInto(text, &form); err != nil {
		return "", false, placed(err, "$.configuration.connection_info.database_url")
	}
	p := form.Parameters
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(p.Username, p.Password), Path: "/" + p.Database,
		Host: fmt.Sprintf("%s:%d", p.Host, cmp.Or(p.Port, 5432)),
	}
	return u.String(), true, nil
}

// getSourceTables lists what can be tracked: tables, views and the like.
func getSourceTables(_ context.Context, c call) (any, error) {
	args, err := decodeArgs[inSourceArgs](c)
	if err != nil {
		return nil, err
	}
	_, known, err := c.source(args.Source)
	if err != nil {
		return nil, err
	}
	names := make([]catalog.Name, len(known.Tables))
	for i := range known.Tables {
		names[i] = known.Tables[i].Name
	}
	return names, nil
}

// tableInfo describes a table of a source.
type tableInfo struct {
	Name        metadata.TableName `json:"name"`
	Type        string             `json:"type"`
	Description string             `json:"description,omitempty"`
	Columns     []columnInfo       `json:"columns"`
	PrimaryKey  []string           `json:"primary_key,omitempty"`
	ForeignKeys map[string]keyInfo `json:"foreign_keys,omitempty"`
	Insertable  bool               `json:"insertable"`
	Updatable   bool               `json:"updatable"`
	Deletable   bool               `json:"deletable"`
}

type columnInfo struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Nullable    bool   `json:"nullable"`
	Description string `json:"description,omitempty"`
	Insertable  bool   `json:"insertable"`
	Updatable   bool   `json:"updatable"`
}

type keyInfo struct {
	Table         catalog.Name      `json:"foreign_table"`
	ColumnMapping map[string]string `json:"column_mapping"`
}

func getTableInfo(_ context.Context, c call) (any, error) {
	args, err := decodeArgs[metadata.TableArgs](c)
	if err != nil {
		return nil, err
	}
	source, known, err := c.source(args.Source)
	if err != nil {
		return nil, err
	}
	t, ok := known.Table(catalog.Name{Schema: args.Table.Schema, Name: args.Table.Name})
	if !ok {
		return nil, errcode.New(errcode.NotExists, "no such table/view exists in source %q: %q", source.Name, args.Table).At("$.args.table")
	}
	info := tableInfo{
		Name: args.Table, Type: string(t.Kind), Description: t.Comment,
		Insertable: t.Insertable, Updatable: t.Updatable, Deletable: t.Deletable, ForeignKeys: map[string]keyInfo{},
	}
	for _, col := range t.Columns {
		info.Columns = append(info.Columns, columnInfo{
			Name: col.Name, Type: col.Type.Name + strings.Repeat("[]", col.Type.Dimensions), Nullable: col.Nullable, Description: col.Comment,
			Insertable: t.Insertable && col.Writable(), Updatable: t.Updatable && col.Writable(),
		})
	}
	if t.PrimaryKey != nil {
		info.PrimaryKey = t.PrimaryKey.Columns
	}
	for _, k := range t.ForeignKeys {
		mapping := map[string]string{}
		for i, col := range k.Columns {
			mapping[col] = k.Targets[i]
		}
		info.ForeignKeys[k.Name] = keyInfo{k.Target, mapping}
	}
	return info, nil
}

// getTrackables lists the tables and functions that are not tracked yet.
func getTrackables(_ context.Context, c call) (any, error) {
	args, err := decodeArgs[inSourceArgs](c)
	if err != nil {
		return nil, err
	}
	source, known, err := c.source(args.Source)
	if err != nil {
		return nil, err
	}
	tracked := map[catalog.Name]bool{}
	for _, t := range source.Tables {
		tracked[catalog.Name{Schema: t.Table.Schema, Name: t.Table.Name}] = true
	}
	tables := []map[string]any{}
	for i := range known.Tables {
		if name := known.Tables[i].Name; !tracked[name] {
			tables = append(tables, map[string]any{"name": name})
		}
	}
	return map[string]any{"tables": tables, "functions": trackableFunctions(source, known)}, nil
}

// trackableFunctions are the functions that return rows of tables and are not
// tracked; overloaded ones can't be.
func trackableFunctions(source *metadata.Source, known *catalog.Catalog) []map[string]any {
	tracked := map[catalog.Name]bool{}
	for _, f := range source.Functions {
		tracked[catalog.Name{Schema: f.Function.Schema, Name: f.Function.Name}] = true
	}
	functions := []map[string]any{}
	for i := range known.Functions {
		f := &known.Functions[i]
		_, rows := known.Table(catalog.Name{Schema: f.Returns.Schema, Name: f.Returns.Name})
		if rows && !f.Returns.Array() && !tracked[f.Name] && len(known.Overloads(f.Name)) == 1 {
			functions = append(functions, map[string]any{"name": f.Name, "volatility": strings.ToUpper(string(f.Volatility))})
		}
	}
	return functions
}

func listSourceKinds(context.Context, call) (any, error) {
	return map[string]any{"sources": []map[string]any{{"builtin": true, "kind": "postgres", "display_name": "postgres", "available": true}}}, nil
}

// getCapabilities tells that Postgres needs no description: tools know it.
func getCapabilities(_ context.Context, c call) (any, error) {
	args, err := decodeArgs[struct {
		Name string `json:"name"`
	}](c)
	if err != nil {
		return nil, err
	}
	if args.Name != "postgres" && args.Name != "pg" {
		return nil, errcode.New(errcode.NotExists, "source kind %q does not exist", args.Name).At("$.args.name")
	}
	return map[string]any{}, nil
}
