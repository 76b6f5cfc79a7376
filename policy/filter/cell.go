package filter

// Case shows a column's value, or what its mask leaves of it, in the rows where
// When is true. The first case that is true counts; where none is, the value is
// null. When is about the row that the column belongs to.
type Case struct {
	When Expr
	Mask Mask
	// Shows, when set, is what is seen instead of Mask's.
	Shows Operand
}

// Mask is what is shown instead of a value.
type Mask uint8

// The masks, from the one that shows most to the one that shows least.
const (
	Plain   Mask = iota // the value itself
	Partial             // its first characters, if it is long enough, and ***
	Hash                // SHA-256 in hexadecimal digits: equal values stay equal
	Hidden              // null
)

var maskNames = map[Mask]string{Plain: "plain", Partial: "partial", Hash: "hash", Hidden: "null"}

// String is the mask's name in the metadata.
func (m Mask) String() string { return maskNames[m] }
