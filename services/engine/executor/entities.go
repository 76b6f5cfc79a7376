package executor

import (
	"context"
	"fmt"

	"tenantry/api/errcode"
	"tenantry/services/engine/plan"
)

// entities writes the part of field i: the rows that the client's representations
// name, one statement for all of a type, and null for those that are not found.
func (r *run) entities(ctx context.Context, i int, f plan.Field) error {
	e := f.Entities
	place := "$.selectionSet." + f.Name + ".args." + e.Argument
	list, ok := Arguments(f.Arguments, r.request.Variables)[e.Argument].([]any)
	if !ok { // one value stands for a list of one
		list = []any{Arguments(f.Arguments, r.request.Variables)[e.Argument]}
	}
	types := make(map[string]*entityType, len(e.Types))
	order := make([]*entityType, len(e.Types))
	for n, t := range e.Types {
		order[n] = &entityType{keys: newKeys(t.Join)}
		types[t.Name] = order[n]
	}
	wanted := make([]representation, len(list))
	for n, value := range list {
		var err error
		if wanted[n], err = represented(value, types, fmt.Sprintf("%s[%d]", place, n)); err != nil {
			return err
		}
	}
	for _, t := range order {
		var err error
		if t.found, err = r.joined(ctx, t.keys); err != nil {
			return err
		}
	}
	out := []byte{'['}
	for n, w := range wanted {
		if n > 0 {
			out = append(out, ',')
		}
		if w.of == nil {
			out = append(out, "null"...)
		} else {
			out = append(out, w.of.keys.value(w.of.found, w.position)...)
		}
	}
	r.parts[i] = append(out, ']')
	return nil
}

// entityType is one type of entities with the keys that are looked up.
type entityType struct {
	keys  *keys
	found [][]byte
}

// representation is where one entity is found.
type representation struct {
	of       *entityType // nil for a type that the role has not
	position int
}

// represented reads a representation: an object with the name of a type and its
// key.
func represented(value any, types map[string]*entityType, place string) (representation, error) {
	object, _ := value.(map[string]any)
	name, ok := object["__typename"].(string)
	if !ok {
		return representation{}, errcode.New(errcode.ValidationFailed, "expected an object with the type's name as \"__typename\"").At(place)
	}
	t := types[name]
	if t == nil {
		return representation{}, nil
	}
	fields := t.keys.join.Fields
	values := make([]any, len(fields))
	for i, field := range fields {
		if values[i], ok = object[field]; !ok {
			return representation{}, errcode.New(errcode.ValidationFailed, "the key '%s' is missing", field).At(place)
		}
	}
	position, err := t.keys.add(values)
	if err != nil {
		return representation{}, errcode.New(errcode.ValidationFailed, "the key is of the wrong form").At(place).Because(err)
	}
	return representation{t, position}, nil
}

// eachEntity calls f for the statements of entities and what is joined to them.
func (p *Program) eachEntity(e *plan.Entities, f func(path string, j *plan.Join)) {
	if e == nil {
		return
	}
	for _, t := range e.Types {
		f(t.Name, t.Join)
		p.eachJoin(t.Name, p.joins[t.Join].places, f)
	}
}
