package metadata

import (
	"reflect"
	"strings"
	"sync"
)

// field is what the tags of a struct's field say.
type field struct {
	key      string
	index    []int
	required bool
}

// fieldCache keeps fields by type; types are few and never change.
var fieldCache sync.Map

type fieldTable struct {
	byKey   map[string]field
	ordered []field
}

func fieldsOf(t reflect.Type) map[string]field { return tableOf(t).byKey }

func sortedFields(t reflect.Type) []field { return tableOf(t).ordered }

func tableOf(t reflect.Type) fieldTable {
	if known, ok := fieldCache.Load(t); ok {
		return known.(fieldTable)
	}
	made := fieldTable{byKey: map[string]field{}}
	for _, f := range reflect.VisibleFields(t) {
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || key == "" || key == "-" {
			continue
		}
		found := field{key: key, index: f.Index,
			required: !strings.Contains(options, "omitempty") && f.Tag.Get("required") != "false"}
		made.byKey[key] = found
		made.ordered = append(made.ordered, found)
	}
	fieldCache.Store(t, made)
	return made
}
