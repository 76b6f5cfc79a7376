package metadataapi_test

import (
	"fmt"
	"strings"
	"testing"

	"tenantry/api/errcode"
)

func TestMutationsHaveTheIsolationOfTheirSource(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.sql(`CREATE TABLE told (id serial PRIMARY KEY, level text NOT NULL DEFAULT current_setting('transaction_isolation'))`)
	p.do("track_table", `"told"`)
	plain, _ := p.export()
	for level, want := range map[string]string{"": "read committed", "read-committed": "read committed", "repeatable-read": "repeatable read", "serializable": "serializable"} {
		document := plain
		if level != "" {
			document = strings.Replace(plain, `"connection_info":{`, fmt.Sprintf(`"connection_info":{"isolation_level":%q,`, level), 1)
		}
		p.do("replace_metadata", document)
		// One statement that needs no transaction otherwise.
		if got := p.do("insert", `{"table": "told", "objects": [{}], "returning": ["level"]}`); fmt.Sprint(at(got, "returning")) != "[map[level:"+want+"]]" {
			t.Errorf("%q: the insert was told %v, want %q", level, got, want)
		}
	}
	wrong := strings.Replace(plain, `"connection_info":{`, `"connection_info":{"isolation_level":"snapshot",`, 1)
	p.fails("replace_metadata", wrong, errcode.ParseFailed, "$.args.sources[0].configuration.connection_info.isolation_level",
		"expected one of read-committed, repeatable-read, serializable")
}
