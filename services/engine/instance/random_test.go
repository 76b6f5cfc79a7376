package instance_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/schema"
)

// Whatever the schema offers has to run: random operations of it may be refused
// for what is in the data, never because the SQL is wrong.
func TestEveryOperationThatTheSchemaAllowsIsGoodSQL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		folder, user string
		roles        []string
	}{
		{".", "ann", []string{"admin", "reader", "owner"}},
		{"functions", "1", []string{"admin", "reader", "own", "published"}},
	} {
		t.Run(c.folder, func(t *testing.T) {
			t.Parallel()
			runRandom(t, newProjectOf(t, c.folder), c.user, c.roles)
		})
	}
}

func runRandom(t *testing.T, p *project, user string, roles []string) {
	p.handler.set(`[{"author_id": 1, "title": "t", "lines": [{"article_id": 10, "quantity": 1}, null]}, {"author_id": 2}]`)
	var why = map[errcode.Code]int{}
	for _, role := range roles {
		view, _ := p.Schema(role, false)
		g := writer{Rand: rand.New(rand.NewPCG(11, 1)), schema: view}
		session := as(role, map[string]string{"x-hasura-user-id": user, "x-hasura-allowed-names": "{Ada}"})
		for n := range 200 {
			operation := ast.Query
			if n%3 == 0 && view.RootType(ast.Mutation) != "" && view.Definition(view.RootType(ast.Mutation)) != nil {
				operation = ast.Mutation
			}
			query := string(operation) + g.selection(view.RootType(operation), 0)
			_, trail := p.Execute(t.Context(), session, instance.Request{Request: graphqlhttp.Request{Query: query}})
			if trail.Err == nil {
				why["ok"]++
				continue
			}
			why[trail.Err.Code]++
			switch trail.Err.Code {
			case errcode.ConstraintViolation, errcode.PermissionError, errcode.DataException:
			case errcode.ValidationFailed, errcode.NotSupported:
				if !refusable(trail.Err.Message) {
					t.Errorf("%s: %s\n%s", role, trail.Err.Message, query)
				}
			default:
				if cause := trail.Err.Unwrap(); cause != nil && strings.Contains(cause.Error(), "SQLSTATE 21000") {
					continue // the same row twice in one upsert
				}
				if trail.Err.Path != "$" || !strings.Contains(trail.Err.Message, "webhook") {
					t.Errorf("%s: %v: %v\n%s", role, trail.Err, trail.Err.Unwrap(), query)
				}
			}
		}
	}
	if why["ok"] < 200 {
		t.Errorf("only a few operations ran: %v", why)
	}
}

// jsonColumn is of the type json, which Postgres can neither compare nor sort,
// though the dialect's schema offers that.
const jsonColumn = "meta"

// refusable are the rules that a schema can't express.
func refusable(message string) bool {
	for _, part := range []string{"distinct_on", "at least one update operator", "multiple operators", "unexpected null", "exactly one value should be specified", "Non default arguments cannot be omitted", "already being determined", "already determined", "cannot proceed"} {
		if strings.Contains(message, part) {
			return true
		}
	}
	return false
}

// writer writes random operations.
type writer struct {
	*rand.Rand
	schema *schema.Schema
	keys   int
}

// selection writes a selection set; every field has a key of its own, so that
// none conflicts with another.
func (w *writer) selection(typeName string, depth int) string {
	definition := w.schema.Definition(typeName)
	var out strings.Builder
	out.WriteString(" {")
	for n := 0; n < 1+w.IntN(4); n++ {
		f := definition.Fields[w.IntN(len(definition.Fields))]
		if strings.HasPrefix(f.Name, "__") {
			continue
		}
		inner := w.schema.Definition(f.Type.Name())
		composite := inner != nil && inner.Kind == ast.Object
		if composite && depth > 3 {
			continue
		}
		w.keys++
		fmt.Fprintf(&out, " %s%d: %s%s", []string{"r", "k", "w", "row", "n"}[w.IntN(5)], w.keys, f.Name, w.arguments(f.Arguments))
		if composite {
			out.WriteString(w.selection(f.Type.Name(), depth+1))
		}
	}
	return out.String() + " __typename }"
}

func (w *writer) arguments(list ast.ArgumentDefinitionList) string {
	var out []string
	for _, a := range list {
		if a.Type.NonNull || w.IntN(3) == 0 {
			value := w.value(a.Type, 0)
			if a.Name == schema.Path {
				value = []string{`"$.a[0]"`, `"lang"`, `"$['a b'].c"`}[w.IntN(3)]
			}
			out = append(out, a.Name+": "+value)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "(" + strings.Join(out, ", ") + ")"
}

func (w *writer) value(t *ast.Type, depth int) string {
	if t.Elem != nil {
		items := make([]string, w.IntN(3))
		for i := range items {
			items[i] = w.value(t.Elem, depth+1)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	definition := w.schema.Definition(t.NamedType)
	switch {
	case definition == nil || definition.Kind == ast.Scalar:
		return w.scalar(t.NamedType)
	case definition.Kind == ast.Enum:
		if name := definition.EnumValues[w.IntN(len(definition.EnumValues))].Name; name != jsonColumn {
			return name
		}
		return definition.EnumValues[0].Name
	}
	var out []string
	chosen := map[string]bool{}
	for n := w.IntN(4); n > 0; n-- {
		chosen[definition.Fields[w.IntN(len(definition.Fields))].Name] = true
	}
	for _, f := range definition.Fields {
		deep := w.schema.Definition(f.Type.Name())
		if f.Name == jsonColumn && !strings.HasSuffix(t.NamedType, "_input") {
			continue
		}
		if f.Type.NonNull || chosen[f.Name] && (depth < 4 || deep == nil || deep.Kind != ast.InputObject) {
			out = append(out, f.Name+": "+w.value(f.Type, depth+1))
		}
	}
	return "{" + strings.Join(out, ", ") + "}"
}

func (w *writer) scalar(name string) string {
	choose := func(list ...string) string { return list[w.IntN(len(list))] }
	switch name {
	case "Boolean":
		return choose("true", "false")
	case "Int":
		return choose("0", "1", "2", "30")
	case "bigint":
		return choose("10", `"11"`, "9007199254740993")
	case "numeric":
		return choose("1", "2.50", `"1e3"`)
	case "uuid":
		return `"00000000-0000-0000-0000-000000000001"`
	case "json", "jsonb":
		return choose(`{a: ["x"], b: null}`, `"text"`, "1", "[]")
	case "timestamptz":
		return choose(`"2020-01-01T00:00:00Z"`, `"2021-06-07"`)
	case "date":
		return `"2000-02-29"`
	case "mood":
		return choose(`"sad"`, `"happy"`)
	}
	return choose(`"Ada"`, `"x%"`, `""`, `"a'b\\"`, `"^A"`)
}
