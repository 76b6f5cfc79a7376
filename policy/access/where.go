package access

import (
	"strconv"
	"strings"

	"tenantry/api/errcode"
	"tenantry/policy/filter"
	"tenantry/tenants/model"
)

// Where compiles the condition of a client over the rows of t, in the language of
// the rules. A client asks only about what the role may read: columns are as the
// role sees them, related rows those that its own filter lets pass, and a text
// that is the name of a session variable is a text. value is decoded JSON, its
// numbers as json.Number. The error is an *errcode.Error whose path begins with
// path.
func (r *Role) Where(m *model.Model, t *model.Table, value any, path string) (filter.Expr, error) {
	if nests(value, maxWhere) {
		return nil, errcode.New(errcode.ValidationFailed, "the value nests deeper than %d levels", maxWhere).At(path)
	}
	c := &compiler{model: m, table: t, reader: r}
	e := scope{compiler: c, table: t}.expression(value, path)
	if c.first != nil {
		return nil, c.first
	}
	return e, nil
}

// maxWhere is how deep the condition of a client may nest, as with values of
// GraphQL: Postgres takes long to plan what is much deeper.
const maxWhere = 64

// nests reports whether a decoded value has more levels of objects and lists.
func nests(value any, levels int) bool {
	switch v := value.(type) {
	case map[string]any:
		for _, member := range v {
			if levels == 0 || nests(member, levels-1) {
				return true
			}
		}
	case []any:
		for _, item := range v {
			if levels == 0 || nests(item, levels-1) {
				return true
			}
		}
	}
	return false
}

// Reads reports whether the role may read a column of t.
func (r *Role) Reads(t *model.Table, c *model.Column) bool {
	allowed := r.Table(t).Select
	return allowed != nil && (r.Admin || allowed.Columns.Has(c))
}

// failAs notes a mistake; the first one is what a client hears.
func (c *compiler) failAs(code errcode.Code, path, format string, args ...any) {
	e := errcode.New(code, format, args...).At(path)
	if c.first == nil {
		c.first = e
	}
	text := e.Message
	if path != "" {
		text = path + ": " + text
	}
	c.problems = append(c.problems, text)
}

// inside is the path of a member. Rules name every step; a client's condition is
// named by the column and the operator alone, as the dialect does.
func (c *compiler) inside(path, key string) string {
	if c.reader == nil {
		return path + "." + key
	}
	return JSONPath(path, key)
}

// step is the path of a member that holds conditions itself.
func (c *compiler) step(path, key string) string {
	if c.reader == nil {
		return path + "." + key
	}
	return path
}

// JSONPath is the path of an object's member: $.args.id, or $.args["$set"] for a
// key that is no name.
func JSONPath(path, key string) string {
	for i, r := range key {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return path + "[" + strconv.Quote(key) + "]"
		}
	}
	if key == "" {
		return path + `[""]`
	}
	return path + "." + key
}

// unknown is what is said of a name that is nothing of the table, or nothing that
// the role sees: a role other than admin does not hear which of both.
func (s scope) unknown(key, path string) filter.Expr {
	switch {
	case s.reader == nil:
		s.fail(s.inside(path, key), "%q is neither a column nor a relationship of %s", key, s.where())
	case s.reader.Admin:
		s.failAs(errcode.NotExists, path, "%q does not exist", key)
	default:
		s.failAs(errcode.PermissionDenied, path, "role %q does not have permission to select column %q", s.reader.Name, key)
	}
	return filter.False
}

// reads reports whether the condition may be about a column.
func (s scope) reads(c *model.Column) bool { return s.reader == nil || s.reader.Reads(s.table, c) }

// operand is the column as whoever asks sees it.
func (s scope) operand(c *model.Column) filter.Column {
	out := filter.Column{Name: c.StoredName(), Type: c.Type}
	if s.reader != nil {
		if allowed := s.reader.Table(s.table).Select; allowed != nil {
			out.Cases = allowed.Cases(c)
		}
	}
	return out
}

// unreadable is what is said of rows of another table.
const unreadable = "role %q does not have permission to read relationship %q"

// rows is a condition on rows of another table; of those that the reader may see.
func (s scope) rows(of *model.Table, value any, key, path string) filter.Expr {
	e := scope{compiler: s.compiler, table: of, depth: s.depth + 1}
	if s.reader == nil {
		return e.expression(value, path)
	}
	allowed := s.reader.Table(of).Select
	if allowed == nil {
		s.failAs(errcode.PermissionDenied, path, unreadable, s.reader.Name, key)
		return filter.False
	}
	return filter.Both(allowed.Filter, e.expression(value, path))
}

// renamed says what a computed field is called in the problems from number
// before on.
func (c *compiler) renamed(before int, f *model.ComputedField) {
	from, to := strconv.Quote(f.Value.StoredName()), strconv.Quote(f.Field)
	for i := before; i < len(c.problems); i++ {
		c.problems[i] = strings.ReplaceAll(c.problems[i], from, to)
	}
	if c.first != nil {
		c.first.Message = strings.ReplaceAll(c.first.Message, from, to)
	}
}
