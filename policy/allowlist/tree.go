package allowlist

import (
	"hash/maphash"
	"slices"
)

// Tree is an operation by its fields, without their values.
type Tree struct {
	// Ordered says that the root fields have to be the same, in order: each of a
	// mutation does something, and leaving one out changes what is done.
	Ordered bool
	Roots   []Node
}

// Node is a field with what is selected of it. Children are in order of Field.
type Node struct {
	Field    Field
	Children []Node
}

// Field stands for a field's key, name, arguments and directives, of this process
// alone.
type Field uint64

var seed = maphash.MakeSeed()

// FieldOf is the Field of a printed one.
func FieldOf(printed string) Field { return Field(maphash.String(seed, printed)) }

// Sort puts nodes in the order in which trees have them.
func Sort(nodes []Node) {
	slices.SortFunc(nodes, func(a, b Node) int {
		switch {
		case a.Field < b.Field:
			return -1
		case a.Field > b.Field:
			return 1
		}
		return 0
	})
}

// treeIndex finds the listed operations that have all fields of another. It looks
// only at those that share the rarest pair of a root field and a field below it.
type treeIndex struct {
	listed []listedTree
	by     map[pair][]int32
}

type listedTree struct {
	scope
	tree *Tree
}

type pair struct{ root, below Field }

// pairs calls f for each pair of a tree; a root field without fields below is a
// pair with 0.
func (t *Tree) pairs(f func(pair)) {
	for _, root := range t.Roots {
		f(pair{root.Field, 0})
		for _, below := range root.Children {
			f(pair{root.Field, below.Field})
		}
	}
}

func newTreeIndex(entries []Entry) *treeIndex {
	x := &treeIndex{by: map[pair][]int32{}}
	for _, e := range entries {
		if e.Tree == nil {
			continue
		}
		at := int32(len(x.listed))
		one := listedTree{tree: e.Tree}
		one.add(e.Roles)
		x.listed = append(x.listed, one)
		e.Tree.pairs(func(p pair) {
			if list := x.by[p]; len(list) == 0 || list[len(list)-1] != at {
				x.by[p] = append(list, at)
			}
		})
	}
	return x
}

func (x *treeIndex) contains(role string, t *Tree) bool {
	if t == nil || len(t.Roots) == 0 {
		return false
	}
	var rarest []int32
	missing, first := false, true
	t.pairs(func(p pair) {
		list := x.by[p]
		missing = missing || len(list) == 0
		if first || len(list) < len(rarest) {
			rarest, first = list, false
		}
	})
	if missing {
		return false
	}
	for _, at := range rarest {
		one := &x.listed[at]
		if one.covers(role) && one.tree.has(t) {
			return true
		}
	}
	return false
}

// has reports whether all fields of other are in t.
func (t *Tree) has(other *Tree) bool {
	if t.Ordered != other.Ordered {
		return false
	}
	if !t.Ordered {
		return hasAll(t.Roots, other.Roots)
	}
	if len(t.Roots) != len(other.Roots) {
		return false
	}
	for i := range t.Roots {
		if t.Roots[i].Field != other.Roots[i].Field || !hasAll(t.Roots[i].Children, other.Roots[i].Children) {
			return false
		}
	}
	return true
}

// hasAll walks both in order. A field without fields below has none of a field
// with some.
func hasAll(have, want []Node) bool {
	i := 0
	for w := range want {
		for i < len(have) && have[i].Field < want[w].Field {
			i++
		}
		if i == len(have) || have[i].Field != want[w].Field || !hasAll(have[i].Children, want[w].Children) {
			return false
		}
		i++
	}
	return true
}
