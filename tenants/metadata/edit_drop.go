package metadata

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// DropAt removes the objects at the given places, as inconsistencies name them:
// the innermost item of a list that a pointer leads into, and where there is
// none, the setting that it names. What is a part of an object that can't go
// alone, such as a table's configuration, takes the object with it.
func DropAt(doc *Document, pointers []string) (*Document, error) {
	return edit(doc, func(d *Document) error {
		var places [][]step
		for _, p := range pointers {
			place, err := droppable(p)
			if err != nil {
				return err
			}
			places = append(places, place)
		}
		// From the end of each list, so that the places before stay what they are.
		slices.SortFunc(places, func(a, b []step) int { return -compareSteps(a, b) })
		places = slices.CompactFunc(places, func(a, b []step) bool { return compareSteps(a, b) == 0 })
		for _, place := range places {
			remove(reflect.ValueOf(d).Elem(), place)
		}
		return nil
	})
}

// step is one step of a pointer: a key, or an index.
type step struct {
	key   string
	index int // -1 for a key
}

func compareSteps(a, b []step) int {
	return slices.CompareFunc(a, b, func(x, y step) int {
		if c := strings.Compare(x.key, y.key); c != 0 {
			return c
		}
		return x.index - y.index
	})
}

// droppable is the place of the object that a pointer leads to or into.
func droppable(pointer string) ([]step, error) {
	steps, err := parsePointer(pointer)
	if err != nil || len(steps) == 0 {
		return nil, fmt.Errorf("metadata: nothing to drop at %q: %w", pointer, err)
	}
	if steps[0].key == "custom_types" {
		return steps[:1], nil
	}
	last := -1
	for i, s := range steps {
		if s.index >= 0 {
			last = i
		}
	}
	if last < 0 {
		return steps[:1], nil
	}
	// A source stays; its setting goes.
	if last == 1 && len(steps) > 2 && steps[0].key == "sources" && steps[2].key != "configuration" {
		return steps[:3], nil
	}
	return steps[:last+1], nil
}

func parsePointer(pointer string) ([]step, error) {
	var steps []step
	rest := strings.TrimPrefix(pointer, "$")
	for rest != "" {
		switch rest[0] {
		case '.':
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			steps = append(steps, step{rest[1 : 1+end], -1})
			rest = rest[1+end:]
		case '[':
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, fmt.Errorf("no pointer: %q", pointer)
			}
			n, err := strconv.Atoi(rest[1:end])
			if err != nil { // a quoted key: the object that has it is near enough
				return steps, nil //nolint:nilerr // no number is no mistake here
			}
			steps = append(steps, step{"", n})
			rest = rest[end+1:]
		default:
			return nil, fmt.Errorf("no pointer: %q", pointer)
		}
	}
	return steps, nil
}

// remove takes what is at a place out of v, a struct.
func remove(v reflect.Value, place []step) {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return
	}
	f, ok := fieldsOf(v.Type())[place[0].key]
	if !ok {
		return
	}
	field := v.FieldByIndex(f.index)
	switch {
	case len(place) == 1:
		field.SetZero()
	case field.Kind() != reflect.Slice || place[1].index < 0:
		remove(field, place[1:])
	case place[1].index >= field.Len():
	case len(place) == 2:
		i := place[1].index
		field.Set(reflect.AppendSlice(field.Slice(0, i), field.Slice(i+1, field.Len())))
	default:
		remove(field.Index(place[1].index), place[2:])
	}
}
