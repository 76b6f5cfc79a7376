package dialect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"tenantry/ops/postgres/pgtest"
	"tenantry/services/engine/dialect"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/source"
	"tenantry/tenants/catalog"
	"tenantry/tenants/vault"
)

// values has, by type, what Postgres writes in a way of its own: everything that
// a list of plain rows must spell as Postgres' own JSON does.
var values = map[string][]string{
	"int2": {"-32768", "32767"}, "int4": {"-2147483648", "0"}, "int8": {"9223372036854775807", "-9223372036854775808"},
	"numeric":     {"NaN", "Infinity", "-Infinity", "0.10", "-0", strings.Repeat("9", 100) + "." + strings.Repeat("1", 60), "1e-30"},
	"float4":      {"NaN", "Infinity", "-Infinity", "1e20", "-0", "1.1754944e-38"},
	"float8":      {"NaN", "Infinity", "-Infinity", "1e300", "1e-300", "-0", "0.1"},
	"bool":        {"true", "false"},
	"text":        {"", everyCharacter(), "\u2028 \U0001F600 é \u200e", `\u0041 \\ "quoted" </script>`},
	"varchar":     {"", everyCharacter()},
	"bpchar":      {"padded  ", "\t"},
	"name":        {"odd \"name\""},
	"uuid":        {"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"},
	"bytea":       {"", `\x00ff5c22`},
	"date":        {"2024-02-29", "infinity", "-infinity", "0044-03-15 BC", "294276-12-31", "0001-01-01"},
	"time":        {"00:00", "23:59:59.999999", "24:00"},
	"timetz":      {"12:00+05:30", "00:00:00.1-08"},
	"interval":    {"1 year 2 mons -3 days 04:05:06.7", "-00:00:01", "0"},
	"timestamp":   {"2024-02-29 12:00", "2024-02-29 12:00:00.120", "infinity", "-infinity", "0044-03-15 12:00 BC", "294276-12-31 23:59:59.999999", "0001-01-01"},
	"timestamptz": {"2024-02-29 12:00Z", "2024-02-29 12:00:00.000001+05:45", "infinity", "-infinity", "0044-03-15 12:00Z BC", "1880-01-01 00:00Z", "294276-12-31 23:59:59.999999Z"},
	"json":        {`{"a" : 1,  "a": 12345678901234567890.123, "t":"\u0000 \" "}`, "null", `"text"`, "[ ]"},
	"jsonb":       {`{"b":1.10,"a":1e400}`, "null", `"\"\\ é"`, "[]"},
	"money":       {"-1234.5"}, "inet": {"10.0.0.1/8"}, "macaddr": {"08:00:2b:01:02:03"}, "bit": {"1"}, "varbit": {"0101"},
	"point": {"(1,NaN)"}, "xml": {"<a b=\"c\">\n</a>"}, "tsvector": {`'a':1 '"':2`}, "int4range": {"[1,5)", "empty"}, "tstzrange": {"[2024-01-01Z,)"},
	"oid": {"4294967295"}, "pg_lsn": {"16/B374D848"},
	"_int4": {"{1,NULL,3}", "{}", "{{1,2},{3,4}}"}, "_text": {`{"a\"b",NULL,"","NULL"}`}, "_timestamptz": {"{2024-01-01Z,infinity}"},
	"pair": {`(1,"a ""b"" \\c")`, "(,)"}, "mood": {"it's \"fine\""}, "short": {"a\tb"}, "amount": {"1.50", "NaN"},
}

const types = `CREATE TYPE pair AS (n int, t text); CREATE TYPE mood AS ENUM ('it''s "fine"'); CREATE DOMAIN short AS text; CREATE DOMAIN amount AS numeric`

func everyCharacter() string {
	var out []byte
	for c := byte(1); c < 0x80; c++ {
		out = append(out, c)
	}
	return string(out)
}

// Plain rows must be, byte for byte, the members that Postgres itself writes.
func TestPlainRowsSpellEveryTypeAsPostgresDoes(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"", "timezone = 'Asia/Kathmandu'", "timezone = 'America/St_Johns'", "datestyle = 'German, DMY'", "intervalstyle = 'iso_8601'", "bytea_output = 'escape'"} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			address := pgtest.Database(t)
			db, err := pgx.Connect(t.Context(), address)
			must(t, err)
			defer func() { _ = db.Close(context.Background()) }()
			run(t, db, types)
			selection, columns := createTable(t, db)
			if setting != "" {
				run(t, db, "ALTER DATABASE "+pgx.Identifier{db.Config().Database}.Sanitize()+" SET "+strings.Replace(setting, " = ", " TO ", 1))
			}
			src, err := source.NewPools((&net.Dialer{}).DialContext).Source(vault.NewSecret(address), source.Options{})
			must(t, err)
			defer src.Close()
			st := dialect.Select(selection)
			if st.Columns == nil {
				t.Fatal("a wide list is not read as plain rows")
			}
			own := "SELECT coalesce(json_agg(r), '[]') FROM (SELECT " + strings.Join(columns, ", ") + " FROM rows_of_all ORDER BY n) AS r"
			out, err := src.Query(t.Context(), []source.Bound{{SQL: st.SQL, Columns: st.Columns}, {SQL: own}})
			must(t, err)
			compare(t, out[0], out[1])
		})
	}
}

// createTable makes a table with a column of each type, and a row per value.
func createTable(t *testing.T, db *pgx.Conn) (*plan.Select, []string) {
	t.Helper()
	definitions, columns := []string{"n int"}, []string{"n"}
	out := &plan.Select{Table: catalog.Name{Schema: "public", Name: "rows_of_all"}, Output: []plan.Output{{Key: "n", Column: &plan.Column{Name: "n", Type: catalog.TypeRef{Schema: "pg_catalog", Name: "int4"}}}}}
	out.OrderBy = []plan.Order{{Column: *out.Output[0].Column}}
	for name := range values {
		column := "c_" + name
		ref := catalog.TypeRef{Schema: "pg_catalog", Name: name}
		if element, ok := strings.CutPrefix(name, "_"); ok {
			ref.Name, ref.Dimensions = element, 1
		}
		if name == "pair" || name == "mood" || name == "short" || name == "amount" {
			ref.Schema = "public"
		}
		out.Output = append(out.Output, plan.Output{Key: column, Column: &plan.Column{Name: column, Type: ref}})
		definitions = append(definitions, fmt.Sprintf("%s %s", column, strings.Replace(pgx.Identifier{name}.Sanitize(), `"bpchar"`, "char(10)", 1)))
		columns = append(columns, column)
	}
	run(t, db, "CREATE TABLE rows_of_all ("+strings.Join(definitions, ", ")+"); INSERT INTO rows_of_all (n) SELECT generate_series(0, 7)")
	for name, texts := range values {
		for i, text := range texts {
			_, err := db.Exec(t.Context(), fmt.Sprintf("UPDATE rows_of_all SET c_%s = $1::text::%s WHERE n = $2", name, pgx.Identifier{name}.Sanitize()), pgx.QueryExecModeExec, text, i+1)
			if err != nil {
				t.Fatalf("%s %q: %v", name, text, err)
			}
		}
	}
	return out, columns
}

func compare(t *testing.T, plain, own []byte) {
	t.Helper()
	var got, want []map[string]json.RawMessage
	must(t, json.Unmarshal(plain, &got))
	must(t, json.Unmarshal(own, &want))
	if len(got) != 8 || len(want) != 8 {
		t.Fatalf("%d and %d rows", len(got), len(want))
	}
	for i := range want {
		for key, value := range want[i] {
			if !bytes.Equal(got[i][key], value) {
				t.Errorf("%s: plain %s, Postgres %s", key, got[i][key], value)
			}
		}
		if len(got[i]) != len(want[i]) || !reflect.DeepEqual(keysOf(got[i]), keysOf(want[i])) {
			t.Errorf("row %d has the members %v, want %v", i, keysOf(got[i]), keysOf(want[i]))
		}
	}
}

func keysOf(m map[string]json.RawMessage) map[string]bool {
	out := map[string]bool{}
	for k := range m {
		out[k] = true
	}
	return out
}

func run(t *testing.T, db *pgx.Conn, sql string) {
	t.Helper()
	_, err := db.PgConn().Exec(t.Context(), sql).ReadAll()
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
