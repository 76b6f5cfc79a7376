package authz

import "github.com/open-policy-agent/opa/v1/ast"

// Values share their members, so that a few rules make one whose comparison never
// ends: OPA compares without looking at a deadline. So what rules can build is
// bounded when they are saved, with all members counted each time they occur.
const (
	maxExpanded = 100_000   // members of a value, with theirs
	loops       = 50        // that a comprehension is taken to make
	maxVisits   = 2_000_000 // of terms, functions again for each size of their arguments
	levels      = 6
	endless     = 1 << 40
)

// size is how many terms a value has at most, and behind it how many the largest
// of its members has, the largest of theirs and so on; the last level is that of
// all below it.
type size [levels]int

// unknown is the size of what modules do not build: it takes a walk only.
var unknown = size{1, 1, 1, 1, 1, 1}

func (s size) member() size {
	copy(s[:], s[1:])
	return s
}

// inside is the size of what has such a member, n times.
func (s size) inside(n int) size {
	out := size{1 + s[0]*n}
	copy(out[1:], s[:])
	out[levels-1] = max(out[levels-1], s[levels-1])
	return out.bounded()
}

func (s size) or(o size) size {
	for i := range s {
		s[i] = max(s[i], o[i])
	}
	return s
}

// with is the size of a collection with the members of both.
func (s size) with(o size) size {
	total := s[0] + o[0]
	s = s.or(o)
	s[0] = total
	return s.bounded()
}

// and is the size of collections that are merged, members too.
func (s size) and(o size) size {
	for i := range s {
		s[i] += o[i]
	}
	return s.bounded()
}

func (s size) bounded() size {
	for i := range s {
		s[i] = min(s[i], endless)
	}
	return s
}

// variables are those of a body, with those around it.
type variables struct {
	outer *variables
	sizes map[ast.Var]size
}

func (v *variables) find(name ast.Var) (size, bool) {
	for ; v != nil; v = v.outer {
		if s, ok := v.sizes[name]; ok {
			return s, true
		}
	}
	return unknown, false
}

// assign gives the variables of a pattern that have no value yet parts of one.
func (v *variables) assign(pattern *ast.Term, s size) {
	switch p := pattern.Value.(type) {
	case ast.Var:
		if _, known := v.find(p); !known {
			v.sizes[p] = s
		}
	case *ast.Array:
		p.Foreach(func(t *ast.Term) { v.assign(t, s.member()) })
	case ast.Object:
		p.Foreach(func(_, t *ast.Term) { v.assign(t, s.member()) })
	}
}

// replacement is what a with puts in the place of a document or function.
type replacement struct {
	target   ast.Ref
	size     size
	function ast.Ref // nil for a value
}

// over is the size of a reference next to the replacement.
func (r replacement) over(ref ast.Ref, own size) size {
	for i := range min(len(ref), len(r.target)) {
		if (i == 0 || ast.IsConstant(ref[i].Value)) && !ref[i].Equal(r.target[i]) {
			return own
		}
	}
	s := r.size
	for range len(ref) - len(r.target) {
		s = s.member()
	}
	if len(ref) >= len(r.target) {
		return own.or(s)
	}
	for range len(r.target) - len(ref) {
		s = s.inside(1)
	}
	return own.and(s)
}
