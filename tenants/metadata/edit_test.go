package metadata_test

import (
	"errors"
	"strings"
	"testing"

	"tenantry/api/errcode"
	"tenantry/tenants/metadata"
)

// change is one edit, with its arguments bound.
type change func(*metadata.Document) (*metadata.Document, error)

// bind reads an edit's arguments from JSON, as commands have them.
func bind[A any](t *testing.T, edit func(*metadata.Document, A) (*metadata.Document, error), args string) change {
	t.Helper()
	var read A
	if err := metadata.DecodeInto([]byte(args), &read); err != nil {
		t.Fatal(err)
	}
	return func(doc *metadata.Document) (*metadata.Document, error) { return edit(doc, read) }
}

// untrack knows that article's relationship author leads to author.
func untrack(doc *metadata.Document, args metadata.UntrackTableArgs) (*metadata.Document, error) {
	return metadata.UntrackTable(doc, args, func(_ string, of metadata.TableName, name string) (metadata.TableName, bool) {
		return metadata.TableName{Schema: "public", Name: "author"}, of.Name == "article" && name == "author"
	})
}

// library is what most edits start from.
const library = `{"table":"author","array_relationships":[{"name":"articles","using":{"foreign_key_constraint_on":{"table":"article","column":"author_id"}}}]},
{"table":"article","object_relationships":[{"name":"author","using":{"foreign_key_constraint_on":"author_id"}}],
 "select_permissions":[{"role":"user","permission":{"columns":"*","filter":{"_or":[{"author":{"id":1}}]}}}],
 "delete_permissions":[{"role":"user","permission":{"filter":{"id":{"_eq":1}}}}]}`

const libraryRest = `"actions":[{"name":"go","definition":{"output_type":"Out","handler":"h"},"permissions":[{"role":"user"}]}],
"custom_types":{"objects":[{"name":"Out","fields":[{"name":"id","type":"Int"}],"relationships":[{"name":"of","type":"object","remote_table":"author","field_mapping":{"id":"id"}}]}]},
"query_collections":[{"name":"c","definition":{"queries":[{"name":"q","query":"{ a }"}]}}],"allowlist":[{"collection":"c","scope":{"global":true}}]`

func TestEditsMakeANewDocument(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit change
		// has and lacks are parts of the new export.
		has, lacks string
	}{
		"track":                    {edit: bind(t, metadata.TrackTable, `{"table":{"schema":"s","name":"t"},"configuration":{"custom_name":"X"}}`), has: `{"table":{"schema":"s","name":"t"},"configuration":{"custom_name":"X"}}`},
		"untrack with cascade":     {edit: bind(t, untrack, `{"table":"author","cascade":true}`), has: `{"table":{"schema":"public","name":"article"},"delete_permissions"`, lacks: `"author"`},
		"object relationship":      {edit: bind(t, metadata.CreateObjectRelationship, `{"table":"article","name":"n","using":{"foreign_key_constraint_on":"n_id"}}`), has: `{"name":"n","using":{"foreign_key_constraint_on":"n_id"}}`},
		"array relationship":       {edit: bind(t, metadata.CreateArrayRelationship, `{"table":"article","name":"n","using":{"foreign_key_constraint_on":{"table":"n","column":"x"}},"comment":"hi"}`), has: `"array_relationships":[{"name":"n","comment":"hi"`},
		"drop relationship":        {edit: bind(t, dropRelationship, `{"table":"author","relationship":"articles"}`), has: `{"table":{"schema":"public","name":"author"}}`},
		"drop with permissions":    {edit: bind(t, dropRelationship, `{"table":"article","relationship":"author","cascade":true}`), has: `delete_permissions`, lacks: `select_permissions`},
		"select permission":        {edit: bind(t, metadata.CreateSelectPermission, `{"table":"author","role":"user","permission":{"columns":["id"],"filter":{}}}`), has: `"select_permissions":[{"role":"user","permission":{"columns":["id"],"filter":{}}}]`},
		"insert permission":        {edit: bind(t, metadata.CreateInsertPermission, `{"table":"author","role":"user","permission":{"check":{}}}`), has: `"insert_permissions":[{"role":"user","permission":{"check":{}}}]`},
		"update permission":        {edit: bind(t, metadata.CreateUpdatePermission, `{"table":"author","role":"user","permission":{"columns":"*","filter":{}}}`), has: `"update_permissions":[{"role":"user"`},
		"delete permission":        {edit: bind(t, metadata.CreateDeletePermission, `{"table":"author","role":"user","permission":{"filter":{}}}`), has: `"delete_permissions":[{"role":"user","permission":{"filter":{}}}]`},
		"drop select permission":   {edit: bind(t, metadata.DropSelectPermission, `{"table":"article","role":"user"}`), lacks: `select_permissions`},
		"drop delete permission":   {edit: bind(t, metadata.DropDeletePermission, `{"table":"article","role":"user"}`), lacks: `delete_permissions`},
		"create action":            {edit: bind(t, metadata.CreateAction, `{"name":"new","definition":{"output_type":"Int","handler":"x"}}`), has: `{"name":"new","definition":{"output_type":"Int","handler":"x"}}`},
		"update action":            {edit: bind(t, metadata.UpdateAction, `{"name":"go","definition":{"output_type":"Int","handler":"new"}}`), has: `{"name":"go","definition":{"output_type":"Int","handler":"new"},"permissions":[{"role":"user"}]}`},
		"drop action":              {edit: func(d *metadata.Document) (*metadata.Document, error) { return metadata.DropAction(d, "go") }, lacks: `"actions"`},
		"action permission":        {edit: bind(t, metadata.CreateActionPermission, `{"action":"go","role":"clerk"}`), has: `[{"role":"clerk"},{"role":"user"}]`},
		"drop action permission":   {edit: bind(t, metadata.DropActionPermission, `{"action":"go","role":"user"}`), has: `"handler":"h"}}`},
		"custom types":             {edit: bind(t, metadata.SetCustomTypes, `{"scalars":[{"name":"S"}]}`), has: `"custom_types":{"scalars":[{"name":"S"}]}`, lacks: `"Out","fields"`},
		"limits":                   {edit: bind(t, metadata.SetAPILimits, `{"depth_limit":{"global":3}}`), has: `"api_limits":{"depth_limit":{"global":3}}`},
		"collection":               {edit: bind(t, metadata.CreateQueryCollection, `{"name":"d","definition":{"queries":[]}}`), has: `{"name":"d","definition":{"queries":[]}}`},
		"drop listed collection":   {edit: bind(t, metadata.DropQueryCollection, `{"collection":"c","cascade":true}`), lacks: `"collection"`},
		"query":                    {edit: bind(t, metadata.AddQueryToCollection, `{"collection_name":"c","query_name":"r","query":"{ b }"}`), has: `{"name":"r","query":"{ b }"}`},
		"drop query":               {edit: bind(t, metadata.DropQueryFromCollection, `{"collection_name":"c","query_name":"q"}`), has: `{"name":"c","definition":{"queries":[]}}`},
		"what is allowed already":  {edit: bind(t, metadata.AddCollectionToAllowlist, `{"collection":"c","scope":{"global":false,"roles":["x"]}}`), has: `"allowlist":[{"collection":"c","scope":{"global":true}}]`},
		"drop from the allow-list": {edit: bind(t, dropFromAllowlist, `{"collection":"c"}`), lacks: `allowlist`},
		"clear":                    {edit: func(d *metadata.Document) (*metadata.Document, error) { return metadata.Clear(d), nil }, has: `"tables":[]}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := decode(t, document(library, libraryRest))
			before := encode(t, doc)
			edited, err := c.edit(doc)
			if err != nil {
				t.Fatal(err)
			}
			got := encode(t, edited)
			if !strings.Contains(got, c.has) || c.lacks != "" && strings.Contains(got, c.lacks) {
				t.Errorf("want %q and not %q in\n%s", c.has, c.lacks, got)
			}
			if encode(t, doc) != before {
				t.Error("the edit modified its input")
			}
			if again := encode(t, decode(t, got)); again != got {
				t.Errorf("what the edit made is read as\n%s", again)
			}
		})
	}
}

func TestEditsThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	const permission = `{"table":"%","role":"user","permission":{"columns":"*","filter":{}}}`
	for name, c := range map[string]struct {
		edit change
		code errcode.Code
		path string
		want string
	}{
		"track twice":                   {bind(t, metadata.TrackTable, `{"table":"author"}`), errcode.AlreadyTracked, "$.args", `view/table already tracked: "author"`},
		"untrack what is not":           {bind(t, untrack, `{"table":{"schema":"s","name":"x"}}`), errcode.AlreadyUntracked, "$.args", `view/table already untracked: "s.x"`},
		"untrack what others need":      {bind(t, untrack, `{"table":"author"}`), errcode.DependencyError, "$.args", `cannot drop due to the following dependent objects: relationship article.author in source "default", permission article.user.select in source "default", relationship of of object type Out`},
		"untrack what a key names":      {bind(t, untrack, `{"table":"article"}`), errcode.DependencyError, "$.args", `cannot drop due to the following dependent objects: relationship author.articles in source "default"`},
		"unknown source":                {bind(t, metadata.TrackTable, `{"source":"x","table":"y"}`), errcode.NotExists, "$.args", `source with name "x" does not exist`},
		"wrong root field":              {bind(t, metadata.TrackTable, `{"table":"y","configuration":{"custom_root_fields":{"x":"y"}}}`), errcode.ParseFailed, "$.configuration.custom_root_fields.x", `unknown key`},
		"relationship of no table":      {bind(t, metadata.CreateObjectRelationship, `{"table":"x","name":"n","using":{"foreign_key_constraint_on":"c"}}`), errcode.NotExists, "$.args", `table "x" does not exist in source: default`},
		"relationship twice":            {bind(t, metadata.CreateArrayRelationship, `{"table":"article","name":"author","using":{"foreign_key_constraint_on":"c"}}`), errcode.AlreadyExists, "$.args", `field with name "author" already exists in table "article"`},
		"relationship without a name":   {bind(t, metadata.CreateArrayRelationship, `{"table":"article","name":"","using":{"foreign_key_constraint_on":"c"}}`), errcode.ParseFailed, "$.name", `empty string not allowed`},
		"drop no relationship":          {bind(t, dropRelationship, `{"table":"article","relationship":"x"}`), errcode.NotExists, "$.args", `relationship "x" does not exist in table "article"`},
		"drop a used relationship":      {bind(t, dropRelationship, `{"table":"article","relationship":"author"}`), errcode.DependencyError, "$.args", `cannot drop due to the following dependent objects: permission article.user.select in source "default"`},
		"permission twice":              {bind(t, metadata.CreateSelectPermission, strings.Replace(permission, "%", "article", 1)), errcode.AlreadyExists, "$.args", `select permission already defined on table "article" with role "user"`},
		"permission of no table":        {bind(t, metadata.CreateUpdatePermission, strings.Replace(permission, "%", "x", 1)), errcode.NotExists, "$.args", `table "x" does not exist in source: default`},
		"drop no permission":            {bind(t, metadata.DropUpdatePermission, `{"table":"article","role":"user"}`), errcode.NotExists, "$.args", `update permission on "article" for role "user" does not exist`},
		"action twice":                  {bind(t, metadata.CreateAction, `{"name":"go","definition":{"output_type":"Int","handler":"x"}}`), errcode.AlreadyExists, "$.args", `action with name "go" already exists`},
		"reserved variable":             {bind(t, metadata.CreateAction, `{"name":"x","definition":{"output_type":"Int","handler":"x","headers":[{"name":"a","value_from_env":"HASURA_GRAPHQL_X"}]}}`), errcode.ParseFailed, "$.definition.headers[0]", `env variables starting with "HASURA_GRAPHQL_" are not allowed in value_from_env: HASURA_GRAPHQL_X`},
		"update no action":              {bind(t, metadata.UpdateAction, `{"name":"x","definition":{"output_type":"Int","handler":"x"}}`), errcode.NotExists, "$.args", `action with name "x" does not exist`},
		"action permission twice":       {bind(t, metadata.CreateActionPermission, `{"action":"go","role":"user"}`), errcode.AlreadyExists, "$.args", `permission for role "user" is already defined on "go"`},
		"drop no action permission":     {bind(t, metadata.DropActionPermission, `{"action":"go","role":"x"}`), errcode.NotExists, "$.args", `permission for role "x" is not defined on "go"`},
		"collection twice":              {bind(t, metadata.CreateQueryCollection, `{"name":"c","definition":{"queries":[]}}`), errcode.AlreadyExists, "$.args", `query collection with name "c" already exists`},
		"collection without a name":     {bind(t, metadata.CreateQueryCollection, `{"name":"","definition":{"queries":[]}}`), errcode.ParseFailed, "$.name", `empty string not allowed`},
		"drop a listed collection":      {bind(t, metadata.DropQueryCollection, `{"collection":"c"}`), errcode.DependencyError, "$.args", `is present in the allowlist`},
		"query of no collection":        {bind(t, metadata.AddQueryToCollection, `{"collection_name":"x","query_name":"q","query":"{ a }"}`), errcode.NotExists, "$.args", `query collection with name "x" does not exist`},
		"query twice":                   {bind(t, metadata.AddQueryToCollection, `{"collection_name":"c","query_name":"q","query":"{ a }"}`), errcode.AlreadyExists, "$.args", `query with name "q" already exists in collection "c"`},
		"allow no collection":           {bind(t, metadata.AddCollectionToAllowlist, `{"collection":"x"}`), errcode.NotExists, "$.args", `query collection with name "x" does not exist`},
		"a scope without roles":         {bind(t, metadata.AddCollectionToAllowlist, `{"collection":"c","scope":{"global":false}}`), errcode.ParseFailed, "$.scope.roles", `expected at least one role`},
		"drop what is not allowed":      {bind(t, dropFromAllowlist, `{"collection":"x"}`), errcode.NotExists, "$.args", `collection "x" doesn't exist in the allowlist`},
		"a limit below 0":               {bind(t, metadata.SetAPILimits, `{"rate_limit":{"global":{"max_reqs_per_min":-1}}}`), errcode.ParseFailed, "$.rate_limit.global.max_reqs_per_min", `expected a number not below 0`},
		"limits by something else":      {bind(t, metadata.SetAPILimits, `{"rate_limit":{"global":{"max_reqs_per_min":1,"unique_params":["user"]}}}`), errcode.ParseFailed, "$.rate_limit.global.unique_params[0]", `expected a session variable`},
		"an unknown relationship table": {bind(t, dropRelationship, `{"table":"x","relationship":"y"}`), errcode.NotExists, "$.args", `table "x" does not exist`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := decode(t, document(library, libraryRest))
			before := encode(t, doc)
			edited, err := c.edit(doc)
			if edited != nil || err == nil {
				t.Fatalf("got %v, %v", edited, err)
			}
			var public *errcode.Error
			if !errors.As(err, &public) || public.Code != c.code || public.Path != c.path || !strings.HasPrefix(public.Message, c.want) && !strings.Contains(public.Message, c.want) {
				t.Errorf("got %s %s %q", public.Code, public.Path, public.Message)
			}
			if encode(t, doc) != before {
				t.Error("a refused edit modified its input")
			}
		})
	}
}

func dropFromAllowlist(doc *metadata.Document, args metadata.AllowlistEntry) (*metadata.Document, error) {
	return metadata.DropCollectionFromAllowlist(doc, args.Collection)
}

func dropRelationship(doc *metadata.Document, args metadata.DropRelationshipArgs) (*metadata.Document, error) {
	return metadata.DropRelationship(doc, args, nil)
}
