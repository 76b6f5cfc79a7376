// Package filter is the filter expression that role permissions, Rego policies
// and a client's where share: plain data between policy and the planner.
//
// policy/access compiles permission documents to it, policy/authz compiles
// residual policies to it, services/engine/planner compiles a client's where to
// it, and services/engine/dialect, the only writer of SQL, renders it.
package filter

import "tenantry/tenants/catalog"

// Expr is a truth value over one row, with SQL's three values.
type Expr interface{ expr() }

// And is true if all are; And{} is true.
type And []Expr

// Or is true if one is; Or{} is false.
type Or []Expr

// Not is SQL's NOT: unknown stays unknown. The dialect's _not.
type Not struct{ Of Expr }

// NotTrue is true where Of is false or unknown ("IS NOT TRUE"). Rego's not.
type NotTrue struct{ Of Expr }

// Compare is Left Op Right.
type Compare struct {
	Left  Operand
	Op    Op
	Right Operand
}

// IsNull is true where Of is null (or, negated, is not).
type IsNull struct {
	Of      Operand
	Negated bool
}

// Exists is true if a row of Table fulfils Where and all pairs: Outer is a
// column of the row that the expression is about, Inner one of Table. Without
// pairs, Table is not joined (_exists).
type Exists struct {
	Table catalog.Name
	// From, when set, yields the rows instead of the table.
	From  *Function
	On    []Pair
	Where Expr
}

// Guard is a truth value known when the request is bound, not a fact of the row.
type Guard struct{ Param Param }

// Predicate is a function of an extension that is true or false.
type Predicate struct {
	Schema, Function string
	Arguments        []Operand
}

// Pair is Outer = Inner; database names.
type Pair struct{ Outer, Inner string }

func (And) expr()       {}
func (Or) expr()        {}
func (Not) expr()       {}
func (NotTrue) expr()   {}
func (Compare) expr()   {}
func (IsNull) expr()    {}
func (Exists) expr()    {}
func (Guard) expr()     {}
func (Predicate) expr() {}

// True and False are the constants.
var (
	True  Expr = And{}
	False Expr = Or{}
)

// IsTrue reports whether e is the constant true.
func IsTrue(e Expr) bool {
	and, ok := e.(And)
	return e == nil || ok && len(and) == 0
}

// IsFalse reports whether e is the constant false.
func IsFalse(e Expr) bool {
	or, ok := e.(Or)
	return ok && len(or) == 0
}

// Both is the conjunction of two expressions without needless nesting.
func Both(a, b Expr) Expr {
	switch {
	case IsTrue(a):
		if b == nil {
			return True
		}
		return b
	case IsTrue(b):
		return a
	case IsFalse(a), IsFalse(b):
		return False
	}
	return And{a, b}
}

// Operand is a side of a comparison.
type Operand interface{ operand() }

// Column is a column of a row.
type Column struct {
	Name string // database name
	Type catalog.TypeRef
	// Up says whose row: 0 is the innermost Exists' row, 1 the one around it.
	Up int
	// Cases, when there are any, say what is seen of the column.
	Cases []Case
	// Of, when set, computes the value: Name is then no column's.
	Of *Function
}

// Param is a value that is bound when the request runs; never part of SQL text.
type Param struct {
	From Origin
	// Name of the session variable (lower case) or GraphQL variable; the text of
	// a literal.
	Name string
	// Path leads into a GraphQL variable's value: string keys and int indexes.
	Path []any
	// JSONPath reads a text such as $.a[0] as the path of a json value: an array
	// of text.
	JSONPath bool
	// Items make up an array or a JSON text whose parts come from different places.
	Items []Param
	// Type that Postgres is told to read the value as.
	Type catalog.TypeRef
}

// Aggregate is a function over the rows of Table that fulfil Where and all
// pairs, as in Exists.
type Aggregate struct {
	Table catalog.Name
	On    []Pair
	Where Expr
	// Function is count, bool_and or bool_or.
	Function string
	Distinct bool
	// Columns that the function is over; none counts rows.
	Columns []Column
	Type    catalog.TypeRef
}

// Cast is an operand read as another type.
type Cast struct {
	Of Operand
	To catalog.TypeRef
}

// Call is the value of a function of Postgres itself: Function is one of a few
// names that the dialect knows.
type Call struct {
	Function  string
	Arguments []Operand
}

// Bytes is a text whose order is that of its bytes, whatever its collation.
type Bytes struct{ Of Operand }

func (Aggregate) operand() {}
func (Call) operand()      {}
func (Bytes) operand()     {}
func (Cast) operand()      {}
func (Column) operand()    {}
func (Param) operand()     {}

// Origin says where a parameter's value comes from.
type Origin uint8

// The origins of values.
const (
	// Literal: Name holds the value as Postgres reads it. Lifted from the
	// operation or the rule, so that SQL text never holds data.
	Literal Origin = iota
	// Session: the session variable Name; absent is an error, never true.
	Session
	// Variable: the GraphQL variable Name, at Path.
	Variable
	// Late: the policy's late-bound value of that Name; undefined is NULL.
	Late
	// Claim: the session variable Name as a policy sees it: absent is NULL, and so
	// is a text that is not the one spelling of a value of Type.
	Claim
	// Null: SQL NULL.
	Null
	// Array: the Items, as one array.
	Array
	// SessionObject: all session variables, as a JSON object.
	SessionObject
	// Encoded: the member at Path of the JSON that the only item is in base64:
	// cursors and ids of nodes. Name is where the argument stands, for errors.
	Encoded
	// Document: the Items one after the other are JSON text. Literals are pieces of
	// it as they stand, other items values to be written as JSON.
	Document
)

// Op is a comparison operator of the dialect, without its leading underscore.
type Op string

// The operators. Right of In and NotIn is an array parameter.
const (
	Eq          Op = "eq"
	Neq         Op = "neq"
	Gt          Op = "gt"
	Gte         Op = "gte"
	Lt          Op = "lt"
	Lte         Op = "lte"
	In          Op = "in"
	NotIn       Op = "nin"
	Like        Op = "like"
	NotLike     Op = "nlike"
	ILike       Op = "ilike"
	NotILike    Op = "nilike"
	Similar     Op = "similar"
	NotSimilar  Op = "nsimilar"
	Regex       Op = "regex"
	NotRegex    Op = "nregex"
	IRegex      Op = "iregex"
	NotIRegex   Op = "niregex"
	Contains    Op = "contains"
	ContainedIn Op = "contained_in"
	HasKey      Op = "has_key"
	HasKeysAny  Op = "has_keys_any"
	HasKeysAll  Op = "has_keys_all"
	// Of ltree.
	Ancestor        Op = "ancestor"
	AncestorAny     Op = "ancestor_any"
	Descendant      Op = "descendant"
	DescendantAny   Op = "descendant_any"
	Matches         Op = "matches"
	MatchesAny      Op = "matches_any"
	MatchesFulltext Op = "matches_fulltext"
)
