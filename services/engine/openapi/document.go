package openapi

// document is what is read of an OpenAPI document: how its operations are called and
// what they answer. All else in it is not looked at.
type document struct {
	paths    map[string]*pathItem
	servers  []server
	security []string // names of the schemes that operations want by default
	schemas  map[string]*schemaRef
}

type server struct {
	url       string
	variables map[string]string // defaults by name
}

type pathItem struct {
	parameters []*ref[parameterObject]
	operations map[string]*operationObject // by method, in capitals
}

type operationObject struct {
	id, summary, description string
	parameters               []*ref[parameterObject]
	requestBody              *ref[bodyObject]
	responses                map[string]*ref[responseObject] // by status, or default
	security                 []string
	secured                  bool // security is the operation's own
}

// The places of parameters.
const (
	inPath   = "path"
	inQuery  = "query"
	inHeader = "header"
	inCookie = "cookie"
)

type parameterObject struct {
	name, in, description, style string
	required                     bool
	explode                      bool // as said, or as in a query by default
	schema                       *schemaRef
}

type bodyObject struct {
	description string
	required    bool
	content     content
}

type responseObject struct{ content content }

// content is the schema of each content type; nil where none is given.
type content map[string]*schemaRef

// ref is an object of a document, or a reference to one.
type ref[T any] struct {
	ref   string // as written, with #; empty: the object itself
	value *T
}

// schemaRef is a schema, or a reference to one.
type schemaRef struct {
	ref   string
	value *schema // of what is referred to
	to    *schemaRef
}

type schema struct {
	always              bool // true or false in place of an object
	kinds               []string
	nullable            bool
	enum                []any
	constant            any // nil: none
	oneOf, anyOf, allOf []*schemaRef
	properties          map[string]*schemaRef
	required            []string
	items               *schemaRef
	places              int // schemas for each place of a list
	format, description string
	least, most         float64 // 0: not said
	readOnly, writeOnly bool
}
