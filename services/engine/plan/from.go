package plan

import "tenantry/policy/filter"

// From says where rows come from that are in no table. Exactly one of the first
// four is set.
type From struct {
	// Function is called for the rows; a row among its arguments is the one around
	// the selection.
	Function *filter.Function
	// Native is SQL text of the tenant with parameters.
	Native []NativePart
	// Members are the columns of objects that are inside of Column, a value of the
	// row around the selection.
	Column  string
	Members []Column
	// Written is true when the rows are those that a first statement yielded.
	Written bool
	// One is true for a function that returns one row, which may be null.
	One bool
}

// NativePart is a piece of SQL text, or a value that stands there.
type NativePart struct {
	Text  string
	Value *filter.Param
}

// Comes says where the rows of a selection come from, those of an aggregate's
// nodes included.
func (s *Select) Comes(from *From) {
	s.From = from
	if s.Aggregate == nil {
		return
	}
	for i := range s.Aggregate.Members {
		if nodes := s.Aggregate.Members[i].Nodes; nodes != nil {
			nodes.From = from
		}
	}
}
