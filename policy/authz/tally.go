package authz

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// deep lists the functions that look at everything in their arguments. Values share
// their members, so that a few steps make one that no walk comes to the end of.
var deep = strings.Fields(`
	equal neq gt gte lt lte internal.member_2 internal.member_3 internal.template_string internal.print print
	minus and or intersection union min max sort
	strings.any_prefix_match strings.any_suffix_match
	json.marshal json.filter json.remove object.subset object.union object.union_n object.remove object.filter`)

// shallow lists those that look at the members of an array, not at what is in them:
// a new array has a hash, for which all texts are read.
var shallow = []string{"array.concat", "array.reverse", "object.keys", "sum"}

// rebuilding lists those that put members into a set or an object anew.
var rebuilding = strings.Fields(`
	minus and or intersection union
	json.filter json.remove object.union object.union_n object.remove object.filter`)

const (
	maxTerms   = 200_000 // in the arguments of a function that looks at all of them
	textOfTerm = 64      // bytes of a string that count for a term
	longTerm   = 100     // terms that a long number counts for
	longSorted = 800     // where it is compared with many
	parsed     = 4       // where it or a fraction is only read
	onPath     = 20      // terms that a step on a path counts for, of which two bytes make one
	// sorted are the terms that one more member of a set or an object counts for, as
	// they are put in order to be looked at.
	sorted = 4
	// crowded divides what members whose hashes may be alike cost: each is compared
	// with all that came before it.
	crowded = 8
)

// tally counts what a function has to look at.
type tally struct {
	left     int  // negative for too much
	long     int  // terms that a long number counts for
	rebuilds bool // puts members of sets and objects into others
	keys     bool // and those of arrays
	wide     int  // integers that are long when they are compared with fractions
	fraction bool // is there one?
}

// countable refuses arguments in which a function would have to look at too much.
func countable(name string, operands []*ast.Term) error {
	t := tally{left: maxTerms, long: longTerm, rebuilds: slices.Contains(rebuilding, name)}
	t.keys = name == "object.remove" || name == "object.filter"
	if name == "sort" {
		t.long = longSorted
		if a, ok := operands[0].Value.(*ast.Array); ok {
			t.left -= a.Len() * sorted
		}
	}
	scalar := len(operands) == 2 && ast.IsScalar(operands[0].Value)
	if slices.Contains(shallow, name) {
		for _, o := range operands {
			t.members(o)
		}
	} else if !scalar {
		for _, o := range operands {
			t.term(o)
		}
	} else if n, ok := operands[0].Value.(ast.Number); ok {
		// A scalar is compared with the members, not with what is in them. Only numbers
		// take long.
		t.number(n)
		t.numbers(operands[1], n)
	}
	if strings.HasPrefix(name, "json.") && len(operands) == 2 {
		t.paths(operands[1])
	}
	if t.fraction {
		t.left -= t.wide * t.long
	}
	if t.left < 0 {
		return errTerms
	}
	return nil
}

// sought reports whether it takes long to look for one value in the other.
func sought(one, other *ast.Term) bool {
	a, b := tally{left: maxTerms, long: longTerm}, tally{left: maxTerms, long: longTerm}
	a.term(one)
	b.term(other)
	comparisons := (maxTerms - a.left) * (maxTerms - b.left)
	if a.wide > 0 && b.fraction || b.wide > 0 && a.fraction {
		comparisons *= longTerm
	}
	return comparisons > maxSought
}

// term counts a term and all in it.
func (t *tally) term(x *ast.Term) {
	t.left--
	switch v := x.Value.(type) {
	case ast.String:
		t.left -= len(v) / textOfTerm
	case ast.Number:
		t.number(v)
	case *ast.Array:
		if t.keys { // a set is made of them
			t.left -= v.Len() * sorted
		}
		before, alike := t.left, 0
		for i := 0; i < v.Len() && t.left >= 0; i++ {
			t.term(v.Elem(i))
			alike += hashedAlike(v.Elem(i))
		}
		if t.keys {
			t.crowd(before, alike)
		}
	case ast.Set:
		if t.left -= v.Len() * sorted; t.left < 0 { // before it is put in order
			return
		}
		before, alike := t.left, 0
		v.Until(func(member *ast.Term) bool {
			t.term(member)
			alike += hashedAlike(member)
			return t.left < 0
		})
		t.crowd(before, alike)
	case ast.Object:
		if t.left -= v.Len() * sorted; t.left < 0 {
			return
		}
		alike, cost := 0, 0
		v.Until(func(key, value *ast.Term) bool {
			before := t.left
			t.term(key)
			if n := hashedAlike(key); n > 0 {
				alike, cost = alike+n, cost+before-t.left
			}
			if t.left >= 0 {
				t.term(value)
			}
			return t.left < 0
		})
		t.crowd(t.left+cost, alike)
	}
}

// crowd counts members that may have the same hash, and which counted for what is
// less than before.
func (t *tally) crowd(before, alike int) {
	if t.rebuilds && t.left >= 0 {
		t.left -= (before - t.left) * alike / crowded
	}
}

// hashedAlike is 1 for what may have the hash of something else: all but texts
// and integers.
func hashedAlike(x *ast.Term) int {
	switch v := x.Value.(type) {
	case ast.String, ast.Boolean, ast.Null:
		return 0
	case ast.Number:
		if isInt(v) {
			return 0
		}
	}
	return 1
}

// number counts what comparing one takes more than it does for others.
func (t *tally) number(n ast.Number) {
	switch {
	case outsize(n):
		t.left = -1
	case isLong(n):
		t.left -= t.long
		t.fraction = true
	case !isInt(n):
		t.fraction = true
	case len(n) > decimalDigits:
		t.wide++
	}
}

// numbers counts the numbers directly in a collection, with which n is compared.
func (t *tally) numbers(x *ast.Term, n ast.Number) {
	long, wide := isLong(n), isInt(n) && len(n) > decimalDigits
	add := func(x *ast.Term) {
		if m, ok := x.Value.(ast.Number); ok {
			if t.number(m); long || wide && !isInt(m) {
				t.left -= t.long
			}
		}
	}
	switch v := x.Value.(type) {
	case *ast.Array:
		v.Foreach(add)
	case ast.Object:
		v.Foreach(func(_, value *ast.Term) { add(value) })
	case ast.Number:
		add(x)
	}
}

// members counts what is directly in a collection.
func (t *tally) members(x *ast.Term) {
	add := func(x *ast.Term) {
		t.left--
		switch v := x.Value.(type) {
		case ast.String:
			t.left -= len(v) / textOfTerm
		case ast.Number:
			if !isInt(v) {
				t.left -= parsed
			}
			if isLong(v) {
				t.left -= longTerm / 5
			}
		}
	}
	switch v := x.Value.(type) {
	case *ast.Array:
		v.Foreach(add)
	case ast.Set:
		v.Foreach(add)
	case ast.Object:
		t.left -= v.Len() * (1 + sorted)
	}
}

// paths counts those that json.filter and json.remove make an object of.
func (t *tally) paths(x *ast.Term) {
	add := func(x *ast.Term) {
		switch v := x.Value.(type) {
		case ast.String:
			t.left -= onPath * (1 + len(v)/2)
		case *ast.Array:
			t.left -= onPath * (1 + v.Len())
		}
	}
	switch v := x.Value.(type) {
	case *ast.Array:
		v.Foreach(add)
	case ast.Set:
		v.Foreach(add)
	}
}
