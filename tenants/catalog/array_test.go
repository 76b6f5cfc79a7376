package catalog_test

import (
	"testing"

	"tenantry/ops/postgres/pgtest"
	"tenantry/tenants/catalog"

	"github.com/jackc/pgx/v5"
)

// Postgres reads from a literal the elements that were written into it.
func TestPostgresReadsAnArrayAsItWasWritten(t *testing.T) {
	t.Parallel()
	elements := []string{"", "a", "null", "NULL", "{", "}", ",", `"`, `\`, `\\"`, " a ", "a\tb", "a\nb\r\v\f", "é名🦄", "'; DROP TABLE x; --", "{a,b}"}
	conn, err := pgx.Connect(t.Context(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var quoted, short, nested catalog.Array
	for _, e := range elements {
		quoted.Add(e)
		short.AddShort(e)
	}
	quoted.Null()
	nested.Nested(short.String())
	nested.Nested(short.String())
	for _, test := range []struct {
		literal string
		want    int
		nulls   int
	}{
		{quoted.String(), len(elements) + 1, 1}, {short.String(), len(elements), 0}, {new(catalog.Array).String(), 0, 0}, {catalog.ArrayOf([]*string{nil, &elements[1]}), 2, 1},
		{nested.String(), 2 * len(elements), 0},
	} {
		var read []*string
		if err := conn.QueryRow(t.Context(), "SELECT array(SELECT unnest($1::text::text[]))", test.literal).Scan(&read); err != nil {
			t.Fatalf("%s: %v", test.literal, err)
		}
		nulls := 0
		for i, e := range read {
			switch {
			case e == nil:
				nulls++
			case test.want >= len(elements) && *e != elements[i%len(elements)]:
				t.Errorf("%s: element %d is %q", test.literal, i, *e)
			}
		}
		if len(read) != test.want || nulls != test.nulls {
			t.Errorf("%s: %d elements with %d NULL, want %d with %d", test.literal, len(read), nulls, test.want, test.nulls)
		}
	}
}
