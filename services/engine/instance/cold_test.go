package instance_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"tenantry/ops/timetest"
	"tenantry/policy/access"
	"tenantry/services/engine/executor"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/planner"
	"tenantry/services/engine/schema"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
	"tenantry/tenants/settings"
)

// What a request costs that nobody has sent before: parsed, validated against
// types that are made on demand, planned and printed, for a role that was never
// used. It must not grow with the number of tables.

// newWideModel has n tables, in threes: authors, their articles, and the comments
// on those.
func newWideModel(tb testing.TB, n int) (*model.Model, *access.Access) {
	tb.Helper()
	var tables, columns strings.Builder
	for i := range n {
		g := i / 3
		if i > 0 {
			tables.WriteByte(',')
			columns.WriteByte(',')
		}
		name := [...]string{"authors", "articles", "comments"}[i%3]
		many := [...]string{"articles", "comments", ""}[i%3]
		relationships := ""
		if many != "" {
			relationships = fmt.Sprintf(`,"array_relationships":[{"name":%q,"using":{"manual_configuration":{"remote_table":{"schema":"public","name":"%s_%d"},"column_mapping":{"id":"parent"}}}}]`, many, many, g)
		}
		if i+1 == n { // the next of its group is not there
			relationships = ""
		}
		fmt.Fprintf(&tables, `{"table":{"schema":"public","name":"%s_%d"}%s,"select_permissions":[{"role":"user","permission":{"columns":"*","filter":{"id":{"_gt":0}}}}]}`, name, g, relationships)
		fmt.Fprintf(&columns, `{"schema":"public","name":"%s_%d","kind":"table","columns":[%s],"primary_key":{"name":"%[1]s_%[2]d_pkey","columns":["id"]},"insertable":true,"updatable":true,"deletable":true}`,
			name, g, `{"name":"id","type":{"schema":"pg_catalog","name":"int8"}},{"name":"parent","type":{"schema":"pg_catalog","name":"int8"}},{"name":"name","type":{"schema":"pg_catalog","name":"text"}},{"name":"body","type":{"schema":"pg_catalog","name":"text"},"nullable":true}`)
	}
	doc, err := metadata.Decode([]byte(`{"version":3,"sources":[{"name":"default","kind":"postgres","configuration":{"connection_info":{"database_url":{"from_env":"URL"}}},"tables":[` + tables.String() + `]}]}`))
	must(tb, err)
	var c catalog.Catalog
	must(tb, json.Unmarshal([]byte(`{"version":160000,"types":{"pg_catalog.int8":{"schema":"pg_catalog","name":"int8","kind":"base","category":"N"},"pg_catalog.text":{"schema":"pg_catalog","name":"text","kind":"base","category":"S"}},"tables":[`+columns.String()+`]}`), &c))
	m, a, bad := instance.Resolve(doc, map[string]*catalog.Catalog{"default": &c}, settings.Settings{})
	if len(bad) > 0 {
		tb.Fatalf("%d objects are inconsistent, the first: %+v", len(bad), bad[0])
	}
	return m, a
}

const (
	nestedQuery   = `query ($id: bigint!) { authors_7(where: {id: {_gte: $id}}, order_by: {id: asc}, limit: 10) { id name articles(limit: 5, order_by: {id: desc}) { id name comments(limit: 3, order_by: {id: asc}) { id body } } } }`
	misspeltRoot  = `query ($id: bigint!) { autors_7(where: {id: {_gte: $id}}, order_by: {id: asc}, limit: 10) { id name articles(limit: 5, order_by: {id: desc}) { id name comments(limit: 3, order_by: {id: asc}) { id body } } } }`
	misspeltField = `query ($id: bigint!) { authors_7(where: {id: {_gte: $id}}, order_by: {id: asc}, limit: 10) { id name articles(limit: 5, order_by: {id: desc}) { id name comments(limit: 3, order_by: {id: asc}) { id bdoy } } } }`
)

// cold does for one request all that a warm one is spared.
func cold(m *model.Model, a *access.Access, query string) error {
	role, _ := a.Role("user")
	view := schema.For(m, role, schema.Options{})
	op, err := operation.Prepare(view, query, "")
	if err != nil {
		return err
	}
	variables, err := op.Coerce(map[string]any{"id": json.Number("1")})
	if err != nil {
		return err
	}
	planned, err := planner.Plan(op, view, role, variables)
	if err != nil {
		return err
	}
	executor.Compile(planned)
	return nil
}

// allocated is how many bytes one of many calls allocates.
func allocated(f func()) uint64 {
	const calls = 200
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / calls
}

// Not parallel: it counts what is allocated.
func TestAColdRequestCostsTheSameWhateverTheNumberOfTables(t *testing.T) {
	small, smallAccess := newWideModel(t, 50)
	large, largeAccess := newWideModel(t, 500)
	must(t, cold(large, largeAccess, nestedQuery))
	few := func() { _ = cold(small, smallAccess, nestedQuery) }
	many := func() { _ = cold(large, largeAccess, nestedQuery) }
	if ratio := timetest.Ratio(2, few, many); ratio > 2 {
		t.Errorf("with 500 tables it takes %.2f times as long as with 50", ratio)
	}
	// Nothing is made for each of the tables.
	if less, more := allocated(few), allocated(many); more > less+less/10 {
		t.Errorf("with 500 tables %d bytes are allocated, with 50 %d", more, less)
	}
	for name, query := range map[string]string{"root field": misspeltRoot, "field": misspeltField} {
		if err := cold(large, largeAccess, query); err == nil {
			t.Fatalf("a misspelt %s was taken", name)
		}
		if ratio := timetest.Ratio(2, many, func() { _ = cold(large, largeAccess, query) }); ratio > 2 {
			t.Errorf("a misspelt %s takes %.2f times as long as the valid request", name, ratio)
		}
	}
}

// Not parallel: it counts what is allocated.
func TestARoleCostsNothingUntilItIsUsed(t *testing.T) {
	var allocated [2]float64
	for i, n := range []int{50, 500} {
		m, a := newWideModel(t, n)
		role, _ := a.Role("user")
		allocated[i] = testing.AllocsPerRun(100, func() { schema.For(m, role, schema.Options{}) })
	}
	if allocated[1] > allocated[0] || allocated[1] > 30 {
		t.Errorf("a view of 50 tables allocates %v objects before it is asked, one of 500 %v", allocated[0], allocated[1])
	}
}

// coldLimit is what a cold request may cost.
const coldLimit = time.Millisecond

func BenchmarkCold(b *testing.B) {
	for _, n := range []int{50, 500} {
		m, a := newWideModel(b, n)
		for _, c := range []struct{ name, query string }{{"valid", nestedQuery}, {"misspelt", misspeltRoot}} {
			b.Run(fmt.Sprintf("%d_tables/%s", n, c.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_ = cold(m, a, c.query)
				}
				b.StopTimer()
				took := timetest.Least(coldLimit, func(int) time.Duration {
					begin := time.Now()
					_ = cold(m, a, c.query)
					return time.Since(begin)
				})
				if took > coldLimit {
					b.Errorf("took %s, at most %s", took, coldLimit)
				}
			})
		}
	}
}
