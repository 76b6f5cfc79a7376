package executor

import (
	"context"
	"time"

	"tenantry/services/engine/plan"
	"tenantry/services/engine/source"
	"tenantry/tenants/catalog"
)

// keys are the values that a join looks up, each combination once.
type keys struct {
	join *plan.Join
	// columns have one text per combination; nil is NULL.
	columns  [][]*string
	position map[string]int // of a combination in columns
}

func newKeys(j *plan.Join) *keys {
	return &keys{join: j, columns: make([][]*string, len(j.Keys)), position: map[string]int{}}
}

// absent is the position of what can't be looked up because a value is null or
// missing.
const absent = -1

// add takes one combination of decoded values and tells its position.
func (k *keys) add(values []any) (position int, err error) {
	texts := make([]*string, len(values))
	identity := ""
	for i, value := range values {
		if value == nil {
			if k.join.Select.Shape != plan.Aggregated {
				return absent, nil
			}
			identity += "\x01\x00" // nothing equals NULL, and there is an aggregate of nothing
			continue
		}
		text, err := plan.Text(value, k.join.Keys[i].Type)
		if err != nil {
			return absent, err
		}
		texts[i] = &text
		identity += "\x02" + text + "\x00"
	}
	position, ok := k.position[identity]
	if !ok {
		position = len(k.position)
		k.position[identity] = position
		for i := range texts {
			k.columns[i] = append(k.columns[i], texts[i])
		}
	}
	return position, nil
}

// value is what was found at a position: null or [] where nothing was.
func (k *keys) value(found [][]byte, position int) []byte {
	switch {
	case position != absent && found[position] != nil:
		return found[position]
	case k.join.Select.Shape == plan.List:
		return []byte("[]")
	}
	return []byte("null")
}

// joined reads the rows of all keys with one statement, and then what other
// sources have to add to them: JSON by position.
func (r *run) joined(ctx context.Context, k *keys) ([][]byte, error) {
	if len(k.position) == 0 {
		return nil, nil
	}
	name := k.join.Select.Source
	src, err := r.source(name)
	if err != nil {
		return nil, err
	}
	step := r.program.joins[k.join]
	statement, v := step.statement, r.values
	for _, column := range k.columns {
		if len(k.position) == 1 {
			v.keys = append(v.keys, column[0])
			statement = step.one
		} else {
			list := catalog.ArrayOf(column)
			v.keys = append(v.keys, &list)
		}
	}
	bound, err := v.bind(statement)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	var found [][]byte
	if len(k.position) == 1 {
		found, err = src.Query(ctx, []source.Bound{bound})
	} else {
		found, err = src.Keyed(ctx, bound, len(k.position))
	}
	r.observe(ctx, Statement{Source: name, Count: 1, Took: time.Since(started), Err: err})
	if err != nil {
		return nil, at(err, "$")
	}
	return r.attach(ctx, step.places, found)
}
