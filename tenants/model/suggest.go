package model

import (
	"slices"
	"strings"

	pluralize "github.com/gertd/go-pluralize"

	"tenantry/tenants/catalog"
)

// Suggestion is a relationship that a foreign key makes possible.
type Suggestion struct {
	// Table is where the relationship would be defined.
	Table catalog.Name
	Name  string
	Array bool
	// Constraint and Columns are of the foreign key. The key belongs to Table
	// itself, or to Remote if Array.
	Constraint string
	Columns    []string
	// Remote is the table at the other end; RemoteColumns are its.
	Remote        catalog.Name
	LocalColumns  []string
	RemoteColumns []string
}

// SuggestRelationships proposes an object and an array relationship for each
// foreign key between two tracked tables. existing are the names of fields that
// each table has already, columns and relationships; relationships that a table
// has already are for the caller to leave out. The order is that of the
// catalog: the same input gives the same names.
//
// An object relationship is named after the column without _id if it is one
// column and the name is free, else after the target in the singular; an array
// relationship is the plural of the referencing table; a clash gets
// _by_<columns>.
func SuggestRelationships(c *catalog.Catalog, tracked map[catalog.Name]bool, existing map[catalog.Name]map[string]bool) []Suggestion {
	s := &suggester{words: pluralize.NewClient(), taken: map[catalog.Name]map[string]bool{}}
	for i := range c.Tables {
		t := &c.Tables[i]
		taken := map[string]bool{}
		for _, column := range t.Columns {
			taken[column.Name] = true
		}
		for name := range existing[t.Name] {
			taken[name] = true
		}
		s.taken[t.Name] = taken
	}
	for i := range c.Tables {
		t := &c.Tables[i]
		for _, key := range byName(t.ForeignKeys) {
			if tracked[t.Name] && tracked[key.Target] {
				s.suggest(t, key)
			}
		}
	}
	return s.found
}

type suggester struct {
	words *pluralize.Client
	taken map[catalog.Name]map[string]bool
	found []Suggestion
}

// byName are the keys, those first whose column names the relationship: the
// plain names are theirs, whatever their constraints are called.
func byName(keys []catalog.ForeignKey) []*catalog.ForeignKey {
	var named, others []*catalog.ForeignKey
	for i := range keys {
		if key := &keys[i]; len(key.Columns) == 1 && strings.HasSuffix(key.Columns[0], "_id") {
			named = append(named, key)
		} else {
			others = append(others, key)
		}
	}
	return append(named, others...)
}

func (s *suggester) suggest(t *catalog.Table, key *catalog.ForeignKey) {
	target := graphqlWord(key.Target.Name)
	var names []string
	if len(key.Columns) == 1 {
		if short, ok := strings.CutSuffix(key.Columns[0], "_id"); ok && short != "" {
			names = append(names, graphqlWord(short))
		}
	}
	names = append(names, s.words.Singular(target))
	by := "_by_" + graphqlWord(strings.Join(key.Columns, "_"))
	s.found = append(s.found, Suggestion{
		Table: t.Name, Name: s.free(t.Name, names, by, false), Constraint: key.Name, Columns: key.Columns,
		Remote: key.Target, LocalColumns: key.Columns, RemoteColumns: key.Targets,
	}, Suggestion{
		Table: key.Target, Name: s.free(key.Target, []string{s.words.Plural(graphqlWord(t.Name.Name))}, by, true), Array: true,
		Constraint: key.Name, Columns: key.Columns,
		Remote: t.Name, LocalColumns: key.Targets, RemoteColumns: key.Columns,
	})
}

// free takes the first free name of names, else the last with by and, if that is
// taken too, a number of underscores.
func (s *suggester) free(t catalog.Name, names []string, by string, array bool) string {
	if s.taken[t] == nil {
		s.taken[t] = map[string]bool{}
	}
	last := names[len(names)-1] + by
	for _, name := range append(slices.Clone(names), last) {
		if s.take(t, name, array) {
			return name
		}
	}
	for {
		last += "_"
		if s.take(t, last, array) {
			return last
		}
	}
}

func (s *suggester) take(t catalog.Name, name string, array bool) bool {
	if s.taken[t][name] || array && s.taken[t][name+"_aggregate"] {
		return false
	}
	s.taken[t][name] = true
	if array {
		s.taken[t][name+"_aggregate"] = true
	}
	return true
}

// graphqlWord makes a GraphQL name of a name of the database.
func graphqlWord(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if isNameByte(name[i], 1) {
			b.WriteByte(name[i])
		} else if b.Len() > 0 {
			b.WriteByte('_')
		}
	}
	word := strings.TrimRight(b.String(), "_")
	if !usableName(word) {
		word = "to_" + strings.TrimLeft(word, "_")
	}
	return word
}
