package metadata_test

import (
	"fmt"
	"strings"
	"testing"

	"tenantry/tenants/metadata"
)

func TestWhatTheDialectDoesNotKnowIsNotLostByMistake(t *testing.T) {
	t.Parallel()
	document := func(connection, permissions string) *metadata.Document {
		doc, err := metadata.Decode(fmt.Appendf(nil, `{"version": 3, "sources": [{"name": "default", "kind": "postgres",
			"configuration": {"connection_info": {"database_url": {"from_env": "X"}%s}},
			"tables": [{"table": "people", "select_permissions": [%s]}]}]}`, connection, permissions))
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	const masked = `{"role": "user", "permission": {"columns": ["id", "phone", "mail"], "filter": {}, "masks": {"phone": "partial", "mail": "null"}}}`
	before := document(`, "use_prepared_statements": false`, masked)
	for name, c := range map[string]struct {
		connection, permissions string
		lost                    []string // parts of the refusal; none for a document that may come
	}{
		"the same":                         {`, "use_prepared_statements": false`, masked, nil},
		"another mask and setting":         {`, "use_prepared_statements": true`, strings.ReplaceAll(masked, "partial", "hash"), nil},
		"no such permission any more":      {`, "use_prepared_statements": false`, ``, nil},
		"no such column in the permission": {`, "use_prepared_statements": false`, `{"role": "user", "permission": {"columns": ["id"], "filter": {}}}`, nil},
		"masks left out": {`, "use_prepared_statements": false`, `{"role": "user", "permission": {"columns": ["mail", "phone"], "filter": {}}}`,
			[]string{`the mask of column "mail" of table "people" in source "default" for role "user"`, `column "phone"`}},
		"a mask left out, of all columns": {`, "use_prepared_statements": false`, `{"role": "user", "permission": {"columns": "*", "filter": {}, "masks": {"mail": "null"}}}`, []string{`column "phone"`}},
		"a setting left out":              {``, masked, []string{`use_prepared_statements of source "default"`}},
	} {
		err := metadata.KeepsOwn(before, document(c.connection, c.permissions))
		if (err != nil) != (len(c.lost) > 0) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, part := range c.lost {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: want %s in %v", name, part, err)
			}
		}
	}
	if err := metadata.KeepsOwn(before, &metadata.Document{}); err != nil {
		t.Errorf("a source that goes takes its keys along: %v", err)
	}
}
