package permissiontest

import "strings"

// needs are the session variables that a request needs: those that it certainly
// does, and those that it may.
type needs struct {
	*reference
	role              string
	certain, possible map[string]bool
}

func (r *reference) needs(role string) *needs {
	return &needs{r, role, map[string]bool{}, map[string]bool{}}
}

// missing finds a variable of a set that the session lacks.
func (n *needs) missing(of map[string]bool) bool {
	for name := range of {
		if _, ok := n.session[name]; !ok {
			return true
		}
	}
	return false
}

func (n *needs) certainly(v any) {
	variables(v, n.certain)
	variables(v, n.possible)
}

// variables adds all session variables that a rule names.
func variables(v any, to map[string]bool) {
	switch v := v.(type) {
	case string:
		if name, ok := isVariable(v); ok {
			to[name] = true
		}
	case []any:
		for _, item := range v {
			variables(item, to)
		}
	case object:
		for key, value := range v {
			variables(key, to)
			variables(value, to)
		}
	}
}

// reads adds what reading a table's rows needs. Members of an inherited role
// whose filter is true for all rows make the others' filters needless; which
// cells need them is left open.
func (n *needs) reads(t *table) {
	for name := range n.filter(t, n.role) {
		n.certain[name] = true
	}
	n.all(t, n.role)
}

func (n *needs) all(t *table, role string) {
	if p, ok := n.own("select", t, role); ok {
		variables(p["filter"], n.possible)
		return
	}
	for _, m := range n.readers(t, role) {
		n.all(t, m)
	}
}

func (n *needs) filter(t *table, role string) map[string]bool {
	out := map[string]bool{}
	if p, ok := n.own("select", t, role); ok {
		variables(p["filter"], out)
		return out
	}
	for _, m := range n.readers(t, role) {
		if n.open(t, m) {
			return map[string]bool{}
		}
		for name := range n.filter(t, m) {
			out[name] = true
		}
	}
	return out
}

// open reports whether a role sees all rows by the letter of its permission.
func (n *needs) open(t *table, role string) bool {
	if p, ok := n.own("select", t, role); ok {
		return len(p["filter"].(object)) == 0
	}
	for _, m := range n.readers(t, role) {
		if n.open(t, m) {
			return true
		}
	}
	return false
}

func (n *needs) query(q *query) {
	n.reads(q.t)
	n.where(q.where, q.t)
	for _, o := range q.outputs {
		if o.nested != nil {
			n.query(o.nested)
		}
	}
	for _, key := range q.order {
		t := q.t
		for _, hop := range key.path {
			t = n.relation(t, hop).target
			n.reads(t)
		}
	}
}

func (n *needs) where(v any, t *table) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			n.where(item, t)
		}
	case object:
		for key, value := range v {
			if strings.HasPrefix(key, "_") {
				n.where(value, t)
			} else if r, ok := t.relation(key); ok {
				n.reads(tableNamed(r.target))
				n.where(value, tableNamed(r.target))
			}
		}
	}
}

func (n *needs) mutation(m *mutation) {
	p, _ := n.writer(m.kind, m.t, n.role)
	n.certainly(p["filter"])
	n.certainly(p["check"])
	n.certainly(p["set"])
	if !m.upsert || len(m.update) > 0 {
		n.where(m.where, m.t)
	}
	if m.upsert && len(m.update) > 0 { // else nothing is updated, whatever the where says
		update, _ := n.writer("update", m.t, n.role)
		n.certainly(update["filter"])
		n.certainly(update["set"])
		n.certainly(update["check"])
	}
	n.all(m.t, n.role) // the cells that where asks for and that are answered
}
