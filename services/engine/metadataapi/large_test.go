package metadataapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tenantry/ops/timetest"
)

// A large schema: so many tables with permissions of so many roles.
const largeTables, largeRoles = 500, 10

// largeCPU bounds the CPU time that a replacement of the large schema takes.
const largeCPU = 3 * time.Second

func TestALargeDocumentIsReplacedInLittleCPUTime(t *testing.T) { // not parallel: it measures the process
	p := newProject(t)
	var sql strings.Builder
	for i := range largeTables {
		fmt.Fprintf(&sql, "CREATE TABLE t%d (id int PRIMARY KEY, name text, amount numeric, at timestamptz, up int REFERENCES t%d);\n", i, max(i-1, 0))
	}
	p.sql(sql.String())
	document := largeDocument()
	before := timetest.CPU(t)
	p.do("replace_metadata", document)
	if used := timetest.CPU(t) - before; used > timetest.Slowed(largeCPU, 10) {
		t.Errorf("replace_metadata took %v of CPU, want at most %v", used, largeCPU)
	} else {
		t.Logf("replace_metadata took %v of CPU", used)
	}
	if answer := p.do("get_inconsistent_metadata", `{}`); at(answer, "is_consistent") != true {
		t.Error("the large schema is inconsistent")
	}
}

func largeDocument() string {
	var b strings.Builder
	b.WriteString(`{"version": 3, "sources": [{"name": "default", "kind": "postgres",
		"configuration": {"connection_info": {"database_url": {"from_env": "PROJECT_DATABASE_URL"}}}, "tables": [`)
	for i := range largeTables {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `{"table": {"schema": "public", "name": "t%d"}, "object_relationships": [{"name": "parent", "using": {"foreign_key_constraint_on": "up"}}],
			"select_permissions": [`, i)
		for role := range largeRoles {
			if role > 0 {
				b.WriteString(",")
			}
			fmt.Fprintf(&b, `{"role": "r%d", "permission": {"columns": ["id", "name", "amount"], "filter": {"_or": [{"parent": {"name": {"_eq": "X-Hasura-User-Id"}}}, {"id": {"_gt": %d}}]}}}`, role, role)
		}
		b.WriteString(`], "insert_permissions": [`)
		for role := range largeRoles {
			if role > 0 {
				b.WriteString(",")
			}
			fmt.Fprintf(&b, `{"role": "r%d", "permission": {"columns": ["id", "name"], "check": {"name": {"_eq": "X-Hasura-User-Id"}}, "set": {"amount": 1}}}`, role)
		}
		b.WriteString(`]}`)
	}
	b.WriteString(`]}]}`)
	return b.String()
}
