package plan

import (
	"tenantry/policy/filter"
)

// Connection is a page of rows with the cursors that lead on from it. The rows
// are those of the Select around it, ordered by Keys; its Limit bounds the page.
type Connection struct {
	Members []ConnectionMember
	// Keys order the rows completely: the primary key comes last.
	Keys []CursorKey
	// Backward takes the last rows instead of the first.
	Backward bool
	// Sliced leaves only the rows behind a cursor, or with Before those before it.
	Sliced, Before bool
}

// CursorKey is one key of the order and its place in cursors.
type CursorKey struct {
	Order
	// Name is the path of the value in the cursor's JSON.
	Name []string
	// NotNull is true for a key that is never null.
	NotNull bool
	// At is the key's value in the cursor that the client gave.
	At filter.Param
}

// ConnectionMember is one member. Exactly one of the last three is set; the
// lists are empty but not nil when directives left everything out.
type ConnectionMember struct {
	Key   string
	Page  []PageMember
	Edges []EdgeMember
	Text  *string
}

// PageMember is a member of pageInfo: Name is that in the schema, empty for Text.
type PageMember struct {
	Key, Name string
	Text      *string
}

// EdgeMember is a member of an edge: its cursor, its node or a constant.
type EdgeMember struct {
	Key    string
	Cursor bool
	Node   []Output // not nil for a node
	Text   *string
}

// Nodes are the selections of the rows; none of a nil connection.
func (c *Connection) Nodes() [][]Output {
	if c == nil {
		return nil
	}
	var out [][]Output
	for _, m := range c.Members {
		for _, e := range m.Edges {
			if e.Node != nil {
				out = append(out, e.Node)
			}
		}
	}
	return out
}

// NodeID makes the global id of a row: base64 of the JSON array of the parts and
// the primary key.
type NodeID struct {
	// Version of the form, 1 or 2; Parts name the table.
	Version int
	Parts   []string
	Key     []Column
}
