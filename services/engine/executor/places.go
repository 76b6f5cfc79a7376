package executor

import "tenantry/services/engine/plan"

// places say where in a piece of JSON the values of joins are. Lists between are
// passed through.
type places struct {
	join    *plan.Join // the value itself
	members []place    // of an object, in the order of the answer
}

// place is a member of an object with places inside.
type place struct {
	key   string
	inner *places
}

// within are places inside a member of an object; p may be nil and so may be what
// is returned: no places.
func (p *places) within(key string, inner *places) *places {
	if inner == nil {
		return p
	}
	if p == nil {
		p = &places{}
	}
	p.members = append(p.members, place{key, inner})
	return p
}

// member are the places inside of a member; nil for none.
func (p *places) member(key []byte) *places {
	for i := range p.members {
		if p.members[i].key == string(key) {
			return p.members[i].inner
		}
	}
	return nil
}

// placesOf are the places in what a selection answers.
func placesOf(s *plan.Select) (p *places) {
	switch {
	case s.Connection != nil:
		for _, m := range s.Connection.Members {
			var edges *places
			for _, e := range m.Edges {
				edges = edges.within(e.Key, placesOfRows(e.Node))
			}
			p = p.within(m.Key, edges)
		}
		return p
	case s.Shape == plan.Aggregated:
		for _, m := range s.Aggregate.Members {
			if m.Nodes != nil {
				p = p.within(m.Key, placesOf(m.Nodes))
			}
		}
		return p
	}
	return placesOfRows(s.Output)
}

func placesOfRows(output []plan.Output) (p *places) {
	for _, o := range output {
		switch {
		case o.Join != nil:
			p = p.within(o.Key, &places{join: o.Join})
		case o.Nested != nil:
			p = p.within(o.Key, placesOf(o.Nested))
		}
	}
	return p
}

// placesOfReturning are the places in what a mutation answers.
func placesOfReturning(r plan.Returning) (p *places) {
	if r.One {
		return placesOfRows(r.Members[0].Rows)
	}
	for _, m := range r.Members {
		p = p.within(m.Key, placesOfRows(m.Rows))
	}
	return p
}

// placesOfField are the places in what a root field answers; none for an action,
// which joins by itself.
func placesOfField(f plan.Field) *places {
	switch {
	case f.Select != nil:
		return placesOf(f.Select)
	case f.Call != nil:
		return placesOf(f.Call)
	case f.Insert != nil:
		return placesOfReturning(f.Insert.Returning)
	case f.Update != nil:
		return placesOfReturning(f.Update.Returning)
	case len(f.Updates) > 0:
		return placesOfReturning(f.Updates[0].Returning) // all of them answer alike
	case f.Delete != nil:
		return placesOfReturning(f.Delete.Returning)
	}
	return nil
}

// each calls f for every join of the places, with the path of keys to it, in the
// order of the answer.
func (p *places) each(path string, f func(path string, j *plan.Join)) {
	if p == nil {
		return
	}
	if p.join != nil {
		f(path, p.join)
	}
	for _, m := range p.members {
		m.inner.each(path+"."+m.key, f)
	}
}
