package metadataapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/services/engine/metadataapi"
	"tenantry/services/revision"
	"tenantry/tenants/settings"
)

// shop is a schema whose GraphQL names differ from those of the database, with a
// role that sees a part of it.
func shop(t *testing.T) *project {
	p := newProject(t)
	p.sql(`CREATE TABLE customer (id int PRIMARY KEY, name text UNIQUE NOT NULL, secret text, tenant text NOT NULL DEFAULT 't1', "odd "" name" text);
		CREATE TABLE purchase (id serial PRIMARY KEY, customer_id int NOT NULL REFERENCES customer, amount numeric NOT NULL DEFAULT 1, state text NOT NULL DEFAULT 'open', detail jsonb, paid_at timestamptz);
		CREATE TABLE note (id int PRIMARY KEY, owner text NOT NULL, body text);
		INSERT INTO customer VALUES (1, 'Ada', 's1', 't1'), (2, 'Bob', 's2', 't1'), (3, 'Cyd', 's3', 't2');
		INSERT INTO purchase (customer_id, amount, state, detail) VALUES (1, 10, 'open', '{"a": 1}'), (1, 20, 'paid', NULL), (2, 30, 'open', NULL), (3, 40, 'open', NULL);
		INSERT INTO note VALUES (1, 'u1', 'mine'), (2, 'u2', 'theirs')`)
	tenant := `{"tenant": {"_eq": "X-Hasura-Tenant"}}`
	p.do("bulk", `[
		{"type": "track_table", "args": {"table": "customer", "configuration": {"custom_name": "Client", "column_config": {"name": {"custom_name": "fullName"}}, "custom_root_fields": {"select": "clients"}}}, "version": 2},
		{"type": "track_table", "args": "purchase"}, {"type": "track_table", "args": "note"},
		{"type": "create_object_relationship", "args": {"table": "purchase", "name": "customer", "using": {"foreign_key_constraint_on": "customer_id"}}},
		{"type": "create_array_relationship", "args": {"table": "customer", "name": "purchases", "using": {"foreign_key_constraint_on": {"table": "purchase", "column": "customer_id"}}}},
		{"type": "create_select_permission", "args": {"table": "customer", "role": "user", "permission": {"columns": ["id", "name", "tenant"], "filter": `+tenant+`, "masks": {"name": "partial"}, "query_root_fields": []}}},
		{"type": "create_insert_permission", "args": {"table": "customer", "role": "user", "permission": {"columns": ["id", "name"], "check": `+tenant+`, "set": {"tenant": "X-Hasura-Tenant"}}}},
		{"type": "create_update_permission", "args": {"table": "customer", "role": "user", "permission": {"columns": ["name"], "filter": `+tenant+`, "check": {"name": {"_neq": "root"}}, "set": {"tenant": "X-Hasura-Tenant"}}}},
		{"type": "create_delete_permission", "args": {"table": "customer", "role": "user", "permission": {"filter": `+tenant+`, "backend_only": true}}},
		{"type": "create_select_permission", "args": {"table": "purchase", "role": "user", "permission": {"columns": ["id", "customer_id", "amount"], "filter": {"customer": `+tenant+`}, "limit": 2}}},
		{"type": "create_insert_permission", "args": {"table": "note", "role": "user", "permission": {"columns": "*", "check": {}}}},
		{"type": "create_update_permission", "args": {"table": "note", "role": "user", "permission": {"columns": "*", "filter": {}}}}]`)
	return p
}

func user(variables ...string) session.Session {
	s := session.Session{Role: "user", Variables: map[string]string{session.RoleVariable: "user", "x-hasura-tenant": "t1"}}
	for i := 0; i < len(variables); i += 2 {
		s.Variables[variables[i]] = variables[i+1]
	}
	return s
}

func command(kind, args string) string { return fmt.Sprintf(`{"type": %q, "args": %s}`, kind, args) }

func equalJSON(t *testing.T, got any, want string) {
	t.Helper()
	var wanted any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, wanted) {
		text, _ := json.Marshal(got)
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestDataIsReadByTheNamesOfTheDatabase(t *testing.T) {
	t.Parallel()
	p := shop(t)
	for name, c := range map[string]struct {
		as         session.Session
		kind, args string
		want       string
	}{
		"columns of a renamed table": {admin, "select", `{"table": "customer", "columns": ["id", "name"], "order_by": "-id", "limit": 2}`, `[{"id": 3, "name": "Cyd"}, {"id": 2, "name": "Bob"}]`},
		"the prefix and the schema":  {admin, "pg_select", `{"table": {"schema": "public", "name": "note"}, "source": "default", "columns": ["id"]}`, `[{"id": 1}, {"id": 2}]`},
		"a star":                     {admin, "select", `{"table": "customer", "columns": ["*"], "where": {"id": 1}}`, `[{"id": 1, "name": "Ada", "secret": "s1", "tenant": "t1", "odd \" name": null}]`},
		"stars of related rows": {admin, "select", `{"table": "purchase", "columns": ["*.*", {"name": "customer", "alias": "who", "columns": ["name"]}], "where": {"id": 3}}`,
			`[{"who": {"name": "Bob"}, "id": 3, "customer_id": 2, "amount": 30, "state": "open", "detail": null, "paid_at": null,
				"customer": {"id": 2, "name": "Bob", "secret": "s2", "tenant": "t1", "odd \" name": null}}]`},
		"an alias of any letters": {admin, "select", `{"table": "purchase", "columns": ["id", "amount", "state", "detail", "paid_at", {"name": "customer", "alias": "a\"b\u0001", "columns": ["id"]}], "where": {"id": 1}}`,
			`[{"id": 1, "amount": 10, "state": "open", "detail": {"a": 1}, "paid_at": null, "a\"b\u0001": {"id": 1}}]`},
		"a relationship's own arguments": {admin, "select", `{"table": "customer", "where": {"$or": [{"name": {"$like": "A%"}}, {"_not": {"id": {"_lt": 3}}}]}, "order_by": ["id"],
			"columns": ["name", {"name": "purchases", "columns": ["amount"], "where": {"amount": {"$gt": 5}}, "order_by": {"column": "amount", "type": "desc"}, "limit": 1}]}`,
			`[{"name": "Ada", "purchases": [{"amount": 20}]}, {"name": "Cyd", "purchases": [{"amount": 40}]}]`},
		"order over a relationship": {admin, "select", `{"table": "purchase", "columns": ["id"], "order_by": [{"column": ["customer", "name"], "type": "desc"}, "+amount"], "offset": 1}`, `[{"id": 3}, {"id": 1}, {"id": 2}]`},
		"nulls first":               {admin, "select", `{"table": "purchase", "columns": ["id"], "order_by": [{"column": "detail", "nulls": "first"}, "id"], "limit": 1}`, `[{"id": 2}]`},
		"rows that exist":           {admin, "select", `{"table": "note", "columns": ["id"], "where": {"$exists": {"_table": "customer", "_where": {"name": "Zed"}}}}`, `[]`},
		"a column and another":      {admin, "select", `{"table": "purchase", "columns": ["id"], "where": {"id": {"$ceq": "customer_id"}}}`, `[{"id": 1}]`},
		"a null is none":            {admin, "select", `{"table": "purchase", "columns": ["id"], "where": {"detail": {"$is_null": false}}}`, `[{"id": 1}]`},
		"a count":                   {admin, "count", `{"table": "purchase", "where": {"state": {"$in": ["open"]}}}`, `{"count": 3}`},
		"a count of different rows": {admin, "count", `{"table": "purchase", "distinct": ["state"]}`, `{"count": 2}`},

		"a role's rows, mask and limit": {user(), "select", `{"table": "customer", "columns": ["*", {"name": "purchases", "columns": ["*"], "order_by": "id"}], "order_by": "id"}`,
			`[{"id": 1, "name": "***", "tenant": "t1", "purchases": [{"id": 1, "customer_id": 1, "amount": 10}, {"id": 2, "customer_id": 1, "amount": 20}]},
				{"id": 2, "name": "***", "tenant": "t1", "purchases": [{"id": 3, "customer_id": 2, "amount": 30}]}]`},
		"a masked column can't be asked for":  {user(), "count", `{"table": "customer", "where": {"name": "Ada"}}`, `{"count": 0}`},
		"nor rows behind a relationship":      {user("x-hasura-tenant", "t2"), "count", `{"table": "customer", "where": {"purchases": {"customer": {"id": 1}}}}`, `{"count": 0}`},
		"a count is not limited":              {user(), "count", `{"table": "purchase"}`, `{"count": 3}`},
		"the name of a variable is only text": {user("x-hasura-x", "t1"), "count", `{"table": "customer", "where": {"tenant": "X-Hasura-X"}}`, `{"count": 0}`},
		"a value is never SQL":                {user(), "count", `{"table": "customer", "where": {"tenant": "t1' OR '1'='1"}}`, `{"count": 0}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, e := p.sendAs(c.as, metadataapi.Query, command(c.kind, c.args))
			if e != nil {
				t.Fatalf("%s at %s: %s", e.Code, e.Path, e.Message)
			}
			equalJSON(t, got, c.want)
		})
	}
}

func TestDataIsWrittenUnderTheRolesRules(t *testing.T) {
	t.Parallel()
	p := shop(t)
	backend := user()
	backend.BackendOnly = true
	for _, c := range []struct {
		as         session.Session
		kind, args string
		want       string
	}{
		{admin, "insert", `{"table": "note", "objects": [{"id": 3, "owner": "o'); DROP TABLE note; --", "body": null}, {"id": 4, "owner": "u"}], "returning": ["id", "owner"]}`,
			`{"affected_rows": 2, "returning": [{"id": 3, "owner": "o'); DROP TABLE note; --"}, {"id": 4, "owner": "u"}]}`},
		{admin, "insert", `{"table": "purchase", "objects": [{"customer_id": 1, "detail": {"k": [1, "X-Hasura-Tenant"]}}, {"customer_id": 2, "detail": [true]}], "returning": ["id", "amount", "detail"]}`,
			`{"affected_rows": 2, "returning": [{"id": 5, "amount": 1, "detail": {"k": [1, "X-Hasura-Tenant"]}}, {"id": 6, "amount": 1, "detail": [true]}]}`},
		{admin, "insert", `{"table": "note", "objects": [{"id": 1, "owner": "new"}], "on_conflict": {"action": "ignore"}}`, `{"affected_rows": 0}`},
		{admin, "insert", `{"table": "note", "objects": [{"id": 1, "owner": "new"}], "on_conflict": {"action": "update", "constraint_on": "id"}, "returning": ["*"]}`,
			`{"affected_rows": 1, "returning": [{"id": 1, "owner": "new", "body": "mine"}]}`},
		{admin, "update", `{"table": "purchase", "where": {"id": 1}, "$set": {"state": "paid"}, "$inc": {"amount": 5}, "returning": ["state", "amount"]}`, `{"affected_rows": 1, "returning": [{"state": "paid", "amount": 15}]}`},
		{admin, "update", `{"table": "purchase", "where": {"id": {"$lte": 2}}, "$mul": {"amount": 2}, "$default": ["state"]}`, `{"affected_rows": 2}`},
		{admin, "select", `{"table": "purchase", "columns": ["amount", "state"], "where": {"id": {"_lte": 2}}, "order_by": "amount"}`, `[{"amount": 30, "state": "open"}, {"amount": 40, "state": "open"}]`},
		{admin, "update", `{"table": "note", "where": {"id": 1}, "$set": {"body": "mine"}, "returning": []}`, `{"affected_rows": 1, "returning": [{}]}`},
		{admin, "delete", `{"table": "note", "where": {"owner": {"$neq": "new"}}, "returning": ["id"]}`, `{"affected_rows": 3, "returning": [{"id": 2}, {"id": 3}, {"id": 4}]}`},

		{user(), "insert", `{"table": "customer", "objects": [{"id": 4, "name": "Dot"}, {"id": 5, "name": "Eve"}], "returning": ["id", "tenant"]}`,
			`{"affected_rows": 2, "returning": [{"id": 4, "tenant": "t1"}, {"id": 5, "tenant": "t1"}]}`},
		{user(), "update", `{"table": "customer", "where": {}, "$set": {"name": "Only mine"}, "returning": []}`, ``},
		{user(), "update", `{"table": "customer", "where": {"id": {"$in": [3, 4]}}, "$set": {"name": "Dora"}}`, `{"affected_rows": 1}`},
		{user("x-hasura-tenant", "t2"), "update", `{"table": "customer", "where": {"id": 1}, "$set": {"name": "Stolen"}}`, `{"affected_rows": 0}`},
		{backend, "delete", `{"table": "customer", "where": {"id": {"$gte": 3}}}`, `{"affected_rows": 2}`},
		{admin, "select", `{"table": "customer", "columns": ["name"], "order_by": "id"}`, `[{"name": "Ada"}, {"name": "Bob"}, {"name": "Cyd"}]`},
	} {
		got, e := p.sendAs(c.as, metadataapi.LegacyQuery, command(c.kind, c.args))
		switch {
		case c.want == "": // a unique name for all of them collides
			if e == nil || e.Code != errcode.ConstraintViolation || e.Path != "$.args" {
				t.Errorf("%s %s: %v", c.kind, c.args, e)
			}
		case e != nil:
			t.Errorf("%s %s: %s at %s: %s", c.kind, c.args, e.Code, e.Path, e.Message)
		default:
			equalJSON(t, got, c.want)
		}
	}
}

func TestCommandsOnDataThatAreRefused(t *testing.T) {
	t.Parallel()
	p := shop(t)
	nobody := session.Session{Role: "nobody", Variables: map[string]string{session.RoleVariable: "nobody"}}
	late := user()
	delete(late.Variables, "x-hasura-tenant")
	for name, c := range map[string]struct {
		as         session.Session
		kind, args string
		code       errcode.Code
		path       string
	}{
		"a role without permission reads":     {nobody, "select", `{"table": "note", "columns": ["id"]}`, errcode.PermissionDenied, "$.args"},
		"a role without permission counts":    {nobody, "count", `{"table": "note"}`, errcode.PermissionDenied, "$.args"},
		"a role without permission inserts":   {nobody, "insert", `{"table": "note", "objects": [{}]}`, errcode.PermissionDenied, "$.args"},
		"a role without permission updates":   {nobody, "update", `{"table": "note", "where": {}, "$set": {"body": ""}}`, errcode.PermissionDenied, "$.args"},
		"a role without permission deletes":   {nobody, "delete", `{"table": "note", "where": {}}`, errcode.PermissionDenied, "$.args"},
		"a table that is not there":           {nobody, "select", `{"table": "gone", "columns": ["id"]}`, errcode.PermissionDenied, "$.args"},
		"for an admin it does not exist":      {admin, "select", `{"table": "gone", "columns": ["id"]}`, errcode.NotExists, "$.args.table"},
		"a hidden column":                     {user(), "select", `{"table": "customer", "columns": ["id", "secret"]}`, errcode.PermissionDenied, "$.args.columns[1]"},
		"a hidden column of related rows":     {user(), "select", `{"table": "customer", "columns": [{"name": "purchases", "columns": ["id", "state"]}]}`, errcode.PermissionDenied, "$.args.columns[0].columns[1]"},
		"a condition on a hidden column":      {user(), "count", `{"table": "customer", "where": {"secret": {"$like": "s%"}}}`, errcode.PermissionDenied, "$.args.where"},
		"the same behind a relationship":      {user(), "count", `{"table": "purchase", "where": {"customer": {"$not": {"secret": "s1"}}}}`, errcode.PermissionDenied, "$.args.where"},
		"a comparison with a hidden column":   {user(), "count", `{"table": "customer", "where": {"name": {"$ceq": "secret"}}}`, errcode.PermissionDenied, `$.args.where.name["$ceq"]`},
		"rows of a hidden table that exist":   {user(), "count", `{"table": "customer", "where": {"$exists": {"_table": "note", "_where": {}}}}`, errcode.PermissionDenied, "$.args.where"},
		"conditions on the session":           {user(), "count", `{"table": "customer", "where": {"_session": {"x-hasura-tenant": "t1"}}}`, errcode.PermissionDenied, "$.args.where"},
		"order by a hidden column":            {user(), "select", `{"table": "purchase", "columns": ["id"], "order_by": ["id", "customer.secret"]}`, errcode.PermissionDenied, "$.args.order_by[1]"},
		"different values of a hidden column": {user(), "count", `{"table": "customer", "distinct": ["secret"]}`, errcode.PermissionDenied, "$.args.distinct[0]"},
		"returning without reading":           {user(), "insert", `{"table": "note", "objects": [{"id": 9, "owner": "u"}], "returning": ["id"]}`, errcode.PermissionDenied, "$.args"},
		"an update without reading":           {user(), "update", `{"table": "note", "where": {"owner": "u2"}, "$set": {"body": "x"}}`, errcode.PermissionDenied, "$.args"},
		"returning a hidden column":           {user(), "insert", `{"table": "customer", "objects": [{"id": 9, "name": "n"}], "returning": ["secret"]}`, errcode.PermissionDenied, "$.args.returning"},
		"a preset that the client sets":       {user(), "insert", `{"table": "customer", "objects": [{"id": 9, "name": "n", "tenant": "t2"}]}`, errcode.NotSupported, "$.args.objects[0]"},
		"a preset that the client changes":    {user(), "update", `{"table": "customer", "where": {}, "$set": {"tenant": "t2"}}`, errcode.NotSupported, `$.args["$set"]`},
		"a column that may not be inserted":   {user(), "insert", `{"table": "customer", "objects": [{"id": 9, "name": "n", "secret": "s"}]}`, errcode.PermissionDenied, "$.args.objects[0]"},
		"a column that may not be changed":    {user(), "update", `{"table": "customer", "where": {}, "$inc": {"id": 1}}`, errcode.PermissionDenied, `$.args["$inc"]`},
		"a column that an upsert may not":     {user(), "insert", `{"table": "customer", "objects": [{"id": 1, "name": "n"}], "on_conflict": {"action": "update", "constraint": "customer_pkey"}}`, errcode.ValidationFailed, "$.args.on_conflict"},
		"an upsert without update permission": {user(), "insert", `{"table": "purchase", "objects": [{"id": 1}]}`, errcode.PermissionDenied, "$.args"},
		"a row that fails the check":          {user(), "update", `{"table": "customer", "where": {"id": 1}, "$set": {"name": "root"}}`, errcode.PermissionError, "$.args"},
		"a permission for backends":           {user(), "delete", `{"table": "customer", "where": {"id": 1}}`, errcode.PermissionDenied, "$.args"},
		"a session variable that is missing":  {late, "count", `{"table": "customer"}`, errcode.NotFound, "$.args"},
		"other commands":                      {user(), "run_sql", `{"sql": "SELECT 1"}`, errcode.AccessDenied, "$.args"},
		"other commands in a bulk":            {user(), "bulk", `[{"type": "count", "args": {"table": "customer"}}, {"type": "bulk", "args": [{"type": "clear_metadata", "args": {}}]}]`, errcode.AccessDenied, "$.args"},
		"a bulk that is too long":             {user(), "bulk", "[" + strings.Repeat(`{"type": "count", "args": {"table": "customer"}},`, 100) + `{"type": "count", "args": {"table": "customer"}}]`, errcode.BatchLimitExceeded, "$.args"},
		"stars without end":                   {admin, "select", `{"table": "customer", "columns": ["` + strings.Repeat("*.", 70) + `*"]}`, errcode.NotSupported, "$.args"},
		"an unknown operator":                 {admin, "count", `{"table": "customer", "where": {"name": {"$foo": 1}}}`, errcode.UnexpectedPayload, `$.args.where.name["$foo"]`},
		"an unknown column in a condition":    {admin, "count", `{"table": "customer", "where": {"foo": 1}}`, errcode.NotExists, "$.args.where"},
		"a relationship as a column":          {admin, "select", `{"table": "customer", "columns": ["purchases"]}`, errcode.PermissionDenied, "$.args.columns[0]"},
		"an object relationship's arguments":  {admin, "select", `{"table": "purchase", "columns": [{"name": "customer", "columns": ["id"], "limit": 1}]}`, errcode.UnexpectedPayload, "$.args.columns[0]"},
		"a negative limit":                    {admin, "select", `{"table": "customer", "columns": ["id"], "limit": -1}`, errcode.NotSupported, "$.args.limit"},
		"no columns":                          {admin, "select", `{"table": "customer"}`, errcode.ParseFailed, "$"},
		"no condition":                        {admin, "delete", `{"table": "note"}`, errcode.ParseFailed, "$"},
		"no operator":                         {admin, "update", `{"table": "note", "where": {}}`, errcode.UnexpectedPayload, "$.args"},
		"no objects":                          {admin, "insert", `{"table": "note", "objects": []}`, errcode.UnexpectedPayload, "$.args.objects"},
		"a constraint that is not there":      {admin, "insert", `{"table": "note", "objects": [{"id": 1, "owner": "u"}], "on_conflict": {"action": "update", "constraint": "x"}}`, errcode.Unexpected, "$.args.on_conflict.constraint"},
		"a value of the wrong type":           {admin, "count", `{"table": "customer", "where": {"id": "abc"}}`, errcode.DataException, "$.args"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, e := p.sendAs(c.as, metadataapi.LegacyQuery, command(c.kind, c.args))
			switch {
			case e == nil:
				t.Errorf("it succeeded: %v", got)
			case e.Code != c.code || e.Path != c.path:
				t.Errorf("%s at %s: %s\nwant %s at %s", e.Code, e.Path, e.Message, c.code, c.path)
			}
		})
	}
	t.Cleanup(func() {
		equalJSON(t, p.do("count", `{"table": "customer"}`), `{"count": 3}`)
		equalJSON(t, p.do("count", `{"table": "note"}`), `{"count": 2}`)
	})
}

func TestABulkSeesTheCommandsBeforeOnItsWay(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	got := p.do("bulk", `[{"type": "run_sql", "args": {"sql": "CREATE TABLE a (id int PRIMARY KEY, name text)"}}, {"type": "track_table", "args": "a"},
		{"type": "insert", "args": {"table": "a", "objects": [{"id": 1, "name": "x"}]}},
		{"type": "run_sql", "args": {"sql": "ALTER TABLE a RENAME COLUMN name TO title"}},
		{"type": "select", "args": {"table": "a", "columns": ["title"]}}]`).([]any)
	equalJSON(t, []any{got[2], got[4]}, `[{"affected_rows": 1}, [{"title": "x"}]]`)

	p.fails("bulk", `[{"type": "untrack_table", "args": {"table": "a"}}, {"type": "count", "args": {"table": "a"}}]`, errcode.NotExists, "$.args[1].args", "does not exist")
	p.fails("bulk", `[{"type": "insert", "args": {"table": "a", "objects": [{"id": 2}]}}, {"type": "insert", "args": {"table": "a", "objects": [{"id": 2}]}}]`,
		errcode.ConstraintViolation, "$.args[1].args", "")
	equalJSON(t, p.do("bulk", `[{"type": "count", "args": {"table": "a"}}]`), `[{"count": 2}]`) // what ran before the failure stays
	answer := p.do("bulk_keep_going", `[{"type": "insert", "args": {"table": "a", "objects": [{"id": 2}]}}, {"type": "insert", "args": {"table": "a", "objects": [{"id": 3}]}}]`).([]any)
	if at(answer[0], "code") != "constraint-violation" || at(answer[1], "affected_rows") != 1.0 {
		t.Errorf("bulk_keep_going: %v", answer)
	}
	_, e := p.sendTo(metadataapi.Metadata, command("select", `{"table": "a", "columns": ["id"]}`))
	if e == nil || e.Code != errcode.ParseFailed || e.Path != "$.type" {
		t.Errorf("/v1/metadata: %v", e)
	}
}

func TestAnEnforcedAllowListLeavesDataToAdmins(t *testing.T) {
	t.Parallel()
	p := shop(t)
	_, err := p.api.Revisions.Revise(context.Background(), p.ID, revision.Change{Action: "settings"}, func(_ context.Context, w *revision.Work) error {
		return w.Configure(func(s settings.Settings) (settings.Settings, error) {
			s.AllowlistMode = "enforce"
			return s, nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	body := command("count", `{"table": "customer"}`)
	if _, e := p.sendAs(user(), metadataapi.Query, body); e == nil || e.Code != errcode.ValidationFailed || e.Message != "query is not allowed" {
		t.Errorf("a user: %v", e)
	}
	if _, e := p.sendAs(admin, metadataapi.Query, body); e != nil {
		t.Errorf("an admin: %v", e)
	}
}

func TestPoliciesJudgeDataAsGraphQL(t *testing.T) {
	t.Parallel()
	p := shop(t)
	_, err := p.api.Revisions.Revise(context.Background(), p.ID, revision.Change{Action: "settings"}, func(_ context.Context, w *revision.Work) error {
		return w.Configure(func(s settings.Settings) (settings.Settings, error) {
			s.Policies = []settings.Policy{{Name: "p.rego", Text: `package authz
default allow := false
allow if { input.resource.field == "clients"; input.args.where.fullName._eq == "Ada" }
allow if { input.resource.field == "insert_Client"; every o in input.args.objects { o.fullName != "root" } }`}}
			return s, nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for body, allowed := range map[string]bool{
		command("select", `{"table": "customer", "columns": ["id"], "where": {"name": "Ada"}}`):          true,
		command("select", `{"table": "customer", "columns": ["id"], "where": {"name": {"$eq": "Ada"}}}`): true,
		command("select", `{"table": "customer", "columns": ["id"], "where": {"name": {"$ne": "Ada"}}}`): false,
		command("count", `{"table": "customer", "where": {"name": "Ada"}}`):                              false,
		command("insert", `{"table": "customer", "objects": [{"id": 7, "name": "x"}]}`):                  true,
		command("insert", `{"table": "customer", "objects": [{"id": 8, "name": "root"}]}`):               false,
	} {
		_, e := p.sendAs(user(), metadataapi.LegacyQuery, body)
		if allowed && e != nil || !allowed && (e == nil || e.Code != errcode.PermissionDenied || e.Path != "$.args") {
			t.Errorf("%s: %v", body, e)
		}
	}
}

func TestEveryCommandOnDataIsRecorded(t *testing.T) {
	t.Parallel()
	p := shop(t)
	seen := map[string]int{}
	p.record = func(kind string, fields []string, failed bool) {
		seen[fmt.Sprintf("%s %s %t", kind, strings.Join(fields, ","), failed)]++
	}
	_, _ = p.send(command("bulk", `[{"type": "select", "args": {"table": "customer", "columns": ["id"]}}, {"type": "delete", "args": {"table": "customer", "where": {"id": 1}}}]`))
	want := map[string]int{"query clients false": 1, "mutation delete_Client true": 1}
	if !maps.Equal(seen, want) {
		t.Errorf("recorded %v, want %v", seen, want)
	}
}
