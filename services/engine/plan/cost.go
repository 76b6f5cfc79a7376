package plan

import (
	"encoding/json"
	"math"
	"strconv"

	"tenantry/policy/filter"
)

const (
	// unboundedRows is how many rows a list without a limit is taken to have.
	unboundedRows = 1000
	maxCost       = math.MaxInt32
)

// Cost is how many objects an operation may answer or write: one for each object,
// and lists as often as their limits allow, inside of each other. It needs the
// variables, because limits may be among them.
func (p *Plan) Cost(variables map[string]any) int {
	c := costs{variables}
	sum := 0.0
	for i := range p.Fields {
		sum += c.field(&p.Fields[i])
	}
	return int(math.Min(sum, maxCost))
}

type costs struct{ variables map[string]any }

func (c costs) field(f *Field) float64 {
	switch {
	case f.Select != nil:
		return c.selection(f.Select)
	case f.Call != nil:
		return c.selection(f.Call)
	case f.Insert != nil:
		return c.written(c.inserted(f.Insert), f.Insert.Returning)
	case f.Update != nil:
		return c.written(changed(f.Update.Most), f.Update.Returning)
	case f.Updates != nil:
		sum := 0.0
		for _, u := range f.Updates {
			sum += c.written(changed(u.Most), u.Returning)
		}
		return sum
	case f.Delete != nil:
		return c.written(changed(f.Delete.Most), f.Delete.Returning)
	case f.Action != nil:
		return 1 + c.parts(f.Action.Selection)
	case f.Entities != nil:
		sum := 0.0
		for _, e := range f.Entities.Types {
			sum += c.selection(e.Join.Select)
		}
		return sum * unboundedRows
	}
	return 0
}

func (c costs) selection(s *Select) float64 {
	switch {
	case s.Aggregate != nil:
		sum := 1.0
		for _, m := range s.Aggregate.Members {
			if m.Nodes != nil {
				sum += c.selection(m.Nodes)
			}
		}
		return sum
	case s.Connection != nil:
		sum := 1.0
		for _, node := range s.Connection.Nodes() {
			sum += c.output(node)
		}
		return c.rows(s) * sum
	}
	return c.rows(s) * (1 + c.output(s.Output))
}

func (c costs) output(output []Output) float64 {
	sum := 0.0
	for _, o := range output {
		if o.Nested != nil {
			sum += c.selection(o.Nested)
		}
		if o.Join != nil {
			sum += c.selection(o.Join.Select)
		}
	}
	return sum
}

// rows is how many objects a selection may answer.
func (c costs) rows(s *Select) float64 {
	if s.Shape == Object || s.Single || s.From != nil && s.From.One {
		return 1
	}
	rows := math.Inf(1)
	for _, b := range s.Limit {
		if n, ok := c.bound(b); ok {
			rows = math.Min(rows, n)
		}
	}
	if math.IsInf(rows, 1) {
		return unboundedRows
	}
	return rows
}

func (c costs) bound(b Bound) (float64, bool) {
	if b.Param == nil {
		return float64(b.Number), true
	}
	switch b.Param.From {
	case filter.Literal:
		n, err := strconv.ParseFloat(b.Param.Name, 64)
		return n, err == nil
	case filter.Variable:
		return number(c.variable(b.Param.Name, b.Param.Path))
	}
	return 0, false
}

func (c costs) variable(name string, path []any) any {
	value := c.variables[name]
	for _, key := range path {
		switch key := key.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[key]
		case int:
			if list, ok := value.([]any); ok {
				if key >= len(list) {
					return nil
				}
				value = list[key]
			}
		}
	}
	return value
}

func number(value any) (float64, bool) {
	switch v := value.(type) {
	case json.Number:
		n, err := v.Float64()
		return n, err == nil
	case string:
		n, err := strconv.ParseFloat(v, 64)
		return n, err == nil
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// inserted is how many rows an insert writes, related ones included.
func (c costs) inserted(in *Insert) float64 {
	switch {
	case in.Tree != nil:
		return c.tree(in.Tree.Rows)
	case in.Records != nil:
		return c.records(in.Records)
	}
	return float64(len(in.Rows))
}

func (c costs) tree(rows []Row) float64 {
	sum := float64(len(rows))
	for _, r := range rows {
		for _, branches := range [][]Branch{r.Before, r.After} {
			for _, b := range branches {
				sum += c.tree(b.Rows)
				if b.Records != nil {
					sum += c.records(b.Records)
				}
			}
		}
	}
	return sum
}

func (c costs) records(r *Records) float64 {
	if list, ok := c.variable(r.Variable, r.Path).([]any); ok {
		return float64(len(list))
	}
	return 1
}

// changed is how many rows an update or delete may touch.
func changed(most int) float64 {
	if most > 0 {
		return float64(most)
	}
	return unboundedRows
}

// written is the cost of writing rows and reading them back.
func (c costs) written(rows float64, r Returning) float64 {
	if r.One {
		rows = 1
	}
	each := 1.0
	for _, m := range r.Members {
		each += c.output(m.Rows)
	}
	return rows * each
}

func (c costs) parts(parts []Part) float64 {
	sum := 0.0
	for _, p := range parts {
		if p.Join != nil {
			sum += c.selection(p.Join.Select)
		}
		if p.Parts != nil {
			sum += 1 + c.parts(p.Parts)
		}
	}
	return sum
}
