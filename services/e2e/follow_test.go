package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestAProjectFollowsADatabaseThatOthersChange(t *testing.T) {
	t.Parallel()
	s := shared(t)
	database := newTenantPostgres(t)
	p := newProject(t, s, map[string]any{"url": database.url("postgres").String()})
	p.library()
	p.meta(200, "pg_create_select_permission", `{"table": "books", "role": "clerk", "permission": {"columns": ["title"], "filter": {}}}`)
	data(t, p.url("/v1/graphql"), p.admin, `{ books { id title } }`, nil)

	db, err := pgx.Connect(context.Background(), database.url("postgres").String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	if _, err := db.Exec(context.Background(), `ALTER TABLE books DROP COLUMN title CASCADE; ALTER TABLE books ADD COLUMN pages int`); err != nil {
		t.Fatal(err)
	}
	// Nothing tells the project so, until a statement fails for it.
	refusal{"unexpected", "the project's database has changed since its tables were read: its metadata must be reloaded"}.check(t, p.ask(p.admin, `{ books { title } }`))
	within(t, 10*time.Second, "the schema has what the database has", func() bool {
		gone := p.ask(p.admin, `{ books { title } }`)
		return strings.Contains(gone.Text, "field 'title' not found in type: 'books'") && p.ask(p.admin, `{ books { id pages } }`).at("data", "books") != nil
	})
	found := p.meta(200, "get_inconsistent_metadata", `{}`)
	if found.at("is_consistent") != false || !strings.Contains(found.Text, "title") {
		t.Errorf("the permissions that name the column are not told of: %s", found.Text)
	}
	kept := p.control(200, http.MethodGet, "/audit?kind=change", nil)
	if !strings.Contains(kept.Text, `"system"`) || !strings.Contains(kept.Text, "metadata.follow") {
		t.Errorf("the audit does not tell who changed the project: %s", kept.Text)
	}
}
