// Package permissiontest compares what the engine answers under random
// permissions with a second opinion: an evaluator in Go that reads the raw JSON
// of the metadata and knows nothing of the engine's expressions, plans or SQL.
package permissiontest

import "math/rand/v2"

// column of a table: its GraphQL name, its name in the database, and its kind:
// int, text or bool.
type column struct{ name, stored, kind string }

// relation leads to rows of target (a GraphQL name) whose remote column equals
// the local one; stored names.
type relation struct {
	name, target, local, remote string
	array                       bool
}

type table struct {
	name, stored string
	columns      []column
	relations    []relation
}

// tables have no foreign keys: rows may point nowhere, and any row can be written.
var tables = []*table{
	{"people", "people", []column{
		{"id", "id", "int"}, {"boss_id", "boss_id", "int"}, {"team_id", "team_id", "int"}, {"age", "age", "int"},
		{"name", "name", "text"}, {"size", "größe", "int"}, {"active", "active", "bool"},
	}, []relation{
		{"boss", "people", "boss_id", "id", false}, {"reports", "people", "id", "boss_id", true},
		{"team", "teams", "team_id", "id", false}, {"notes", "notes", "id", "person_id", true},
	}},
	{"teams", "tëams \"x\"", []column{
		{"id", "id", "int"}, {"rank", "rank", "int"}, {"title", "title", "text"}, {"open", "open", "bool"},
	}, []relation{{"members", "people", "id", "team_id", true}, {"notes", "notes", "id", "team_id", true}}},
	{"notes", "notes", []column{
		{"id", "id", "int"}, {"person_id", "person_id", "int"}, {"team_id", "team_id", "int"}, {"body", "body", "text"},
		{"stars", "stars", "int"}, {"public", "public", "bool"},
	}, []relation{{"person", "people", "person_id", "id", false}, {"team", "teams", "team_id", "id", false}}},
}

// The order of text is that of its bytes, in Postgres and here.
const createTables = `
CREATE TABLE people (id int4 PRIMARY KEY, boss_id int4, team_id int4, age int4, name text COLLATE "C", "größe" int4, active bool);
CREATE TABLE "tëams ""x""" (id int4 CONSTRAINT teams_pkey PRIMARY KEY, rank int4, title text COLLATE "C", open bool);
CREATE TABLE notes (id int4 PRIMARY KEY, person_id int4, team_id int4, body text COLLATE "C", stars int4, public bool);`

func tableNamed(name string) *table {
	for _, t := range tables {
		if t.name == name {
			return t
		}
	}
	panic("no table " + name)
}

func tableStored(stored string) *table {
	for _, t := range tables {
		if t.stored == stored {
			return t
		}
	}
	panic("no table " + stored)
}

func (t *table) column(name string) (column, bool) {
	for _, c := range t.columns {
		if c.name == name {
			return c, true
		}
	}
	return column{}, false
}

func (t *table) byStored(stored string) (column, bool) {
	for _, c := range t.columns {
		if c.stored == stored {
			return c, true
		}
	}
	return column{}, false
}

func (t *table) relation(name string) (relation, bool) {
	for _, r := range t.relations {
		if r.name == name {
			return r, true
		}
	}
	return relation{}, false
}

// row is by stored names; values are nil, int64, string or bool.
type row map[string]any

// database is by stored names of tables.
type database map[string][]row

// dice are the source of all that is random.
type dice struct{ *rand.Rand }

func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

func pick[T any](d dice, list []T) T { return list[d.IntN(len(list))] }

// some is a random part of a list, in its order.
func some[T any](d dice, list []T, percent int) []T {
	var out []T
	for _, item := range list {
		if d.chance(percent) {
			out = append(out, item)
		}
	}
	return out
}

var texts = []string{"", "a", "A", "ä", "日本語テキスト", `x'y"z\`, "a%_b", "NULL", "Ünïcödé ☃ text", "user", "User"}

// value is a random value of a kind, null in some.
func (d dice) value(kind string, nulls int) any {
	switch {
	case d.chance(nulls):
		return nil
	case kind == "int":
		return int64(d.IntN(6))
	case kind == "bool":
		return d.chance(50)
	}
	return pick(d, texts)
}

func (d dice) database() database {
	out := database{}
	for _, t := range tables {
		for id := range 3 + d.IntN(6) {
			r := row{}
			for _, c := range t.columns {
				r[c.stored] = d.value(c.kind, 25)
			}
			r["id"] = int64(id)
			out[t.stored] = append(out[t.stored], r)
		}
	}
	return out
}
