package schema

import "tenantry/tenants/model"

// A source in camel case writes the dialect's own words in another way; the
// planner knows them by their ordinary names.
var camelNaming = &model.Naming{Camel: true}

var canonical = map[string]string{}

func init() {
	add := func(words ...string) {
		for _, w := range words {
			canonical[camelNaming.Field(w)] = w
		}
	}
	add(OrderBy, DistinctOn, OnConflict, UpdateColumns, PKColumns, DeleteKey, DeleteElem, DeleteAtPath, AffectedRows, "_is_null", "_contained_in")
	add(boolFunctions...)
	for _, f := range aggregateFunctions {
		add(f.name)
	}
	for _, operators := range special {
		for _, o := range operators {
			add(o.name)
		}
	}
}

// Canonical is the dialect's own form of one of its words; any other name is
// itself.
func Canonical(name string) string {
	if word, ok := canonical[name]; ok {
		return word
	}
	return name
}

// CamelCase is a word of the dialect as a source in camel case writes it.
func CamelCase(word string) string { return camelNaming.Field(word) }
