package access

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenantry/api/errcode"
	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

type rawJSON = json.RawMessage

// compiler turns the rules of one permission into expressions. It collects all
// mistakes; what it returns counts only if there are none.
type compiler struct {
	model    *model.Model
	table    *model.Table // that the permission is on
	problems []string
	// reader is set for the condition of a client: what the role may read counts.
	reader *Role
	// first of the problems.
	first *errcode.Error
}

func (c *compiler) fail(path, format string, args ...any) {
	c.failAs(errcode.UnexpectedPayload, path, format, args...)
}

// rule compiles a filter or check.
func (c *compiler) rule(name string, text rawJSON) filter.Expr {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // numbers keep all their digits
	var value any
	if err := d.Decode(&value); err != nil {
		c.fail(name, "expected a boolean expression")
		return filter.False
	}
	return scope{compiler: c, table: c.table}.expression(value, name)
}

// scope is where an expression stands: the table whose row it is about, and how
// many rows lie between it and the row of the permission's table.
type scope struct {
	*compiler
	table *model.Table
	depth int
}

func (s scope) where() string { return fmt.Sprintf("table %q", model.ShortName(s.table.Name)) }

func (s scope) expression(value any, path string) filter.Expr {
	object, ok := value.(map[string]any)
	if !ok {
		s.fail(path, "expected a boolean expression, an object")
		return filter.False
	}
	all := filter.And{}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		all = append(all, s.member(key, object[key], path))
	}
	if len(all) == 1 {
		return all[0]
	}
	return all
}

// member compiles one key of an expression that stands at path.
func (s scope) member(key string, value any, path string) filter.Expr {
	at := s.step(path, key)
	if value == nil {
		s.fail(at, "unexpected null value")
		return filter.False
	}
	switch key {
	case "_and", "$and":
		return filter.And(s.list(value, at))
	case "_or", "$or":
		return filter.Or(s.list(value, at))
	case "_not", "$not":
		return filter.Not{Of: s.expression(value, at)}
	case "_exists", "$exists":
		return s.exists(value, at)
	case "_session":
		if s.reader == nil {
			return s.sessionCondition(value, at)
		}
	}
	if column, ok := s.table.Stored(key); ok && s.reads(column) {
		return s.column(column, value, s.inside(path, key))
	}
	if f, ok := s.table.Computed(key); ok && (f.Value == nil || s.reads(f.Value)) {
		return s.computed(f, value, at)
	}
	if r, ok := s.table.Relationship(key); ok {
		e := filter.Exists{Table: r.Target.Name}
		for _, pair := range r.Mapping {
			e.On = append(e.On, filter.Pair{Outer: pair.Local, Inner: pair.Remote})
		}
		e.Where = s.rows(r.Target, value, key, at)
		return e
	}
	if r, ok := s.table.Aggregated(key); ok && s.reader == nil {
		return s.aggregate(r, value, at)
	}
	return s.unknown(key, path)
}

// list compiles the operands of _and and _or; a single object is wrapped.
func (s scope) list(value any, path string) []filter.Expr {
	items, ok := value.([]any)
	if !ok {
		return []filter.Expr{s.expression(value, path)}
	}
	all := make([]filter.Expr, len(items))
	for i, item := range items {
		at := path
		if s.reader == nil {
			at = fmt.Sprintf("%s[%d]", path, i)
		}
		all[i] = s.expression(item, at)
	}
	return all
}

// exists compiles _exists: some row of any tracked table of the same source.
func (s scope) exists(value any, path string) filter.Expr {
	object, _ := value.(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if key != "_table" && key != "_where" {
			s.fail(s.inside(path, key), "unknown key; expected _table and _where")
		}
	}
	text, err := json.Marshal(object["_table"])
	var name metadata.TableName
	if err == nil {
		err = name.UnmarshalJSON(text)
	}
	if err != nil {
		s.fail(path, "expected {_table, _where}")
		return filter.False
	}
	target, ok := s.model.Table(s.table.Source, catalog.Name{Schema: name.Schema, Name: name.Name})
	if !ok && s.reader != nil && !s.reader.Admin {
		s.failAs(errcode.PermissionDenied, path, unreadable, s.reader.Name, name.String())
		return filter.False
	}
	if !ok {
		s.fail(s.inside(path, "_table"), "table %q is not tracked in source %q", name.String(), s.table.Source)
		return filter.False
	}
	return filter.Exists{Table: target.Name, Where: s.rows(target, object["_where"], name.String(), s.step(path, "_where"))}
}

// column compiles what is said of a column: an object of operators, or a bare
// value, which means _eq.
func (s scope) column(column *model.Column, value any, path string) filter.Expr {
	object, ok := value.(map[string]any)
	if !ok {
		return s.compare(column, "_eq", value, path)
	}
	all := filter.And{}
	for _, op := range slices.Sorted(maps.Keys(object)) {
		all = append(all, s.compare(column, op, object[op], s.inside(path, op)))
	}
	if len(all) == 1 {
		return all[0]
	}
	return all
}

// columnOps are the operators whose right side is a column.
var columnOps = map[string]filter.Op{
	"ceq": filter.Eq, "cne": filter.Neq, "cneq": filter.Neq,
	"cgt": filter.Gt, "cgte": filter.Gte, "clt": filter.Lt, "clte": filter.Lte,
}

// valueOps are the operators whose right side is a value.
var valueOps = map[string]filter.Op{"ne": filter.Neq}

func init() {
	for _, op := range []filter.Op{
		filter.Eq, filter.Neq, filter.Gt, filter.Gte, filter.Lt, filter.Lte, filter.In, filter.NotIn,
		filter.Like, filter.NotLike, filter.ILike, filter.NotILike, filter.Similar, filter.NotSimilar,
		filter.Regex, filter.NotRegex, filter.IRegex, filter.NotIRegex,
		filter.Contains, filter.ContainedIn, filter.HasKey, filter.HasKeysAny, filter.HasKeysAll,
		filter.Ancestor, filter.AncestorAny, filter.Descendant, filter.DescendantAny,
		filter.Matches, filter.MatchesAny, filter.MatchesFulltext,
	} {
		valueOps[string(op)] = op
	}
}

func (s scope) compare(column *model.Column, spelling string, value any, path string) filter.Expr {
	left := s.operand(column)
	if value == nil {
		s.fail(path, "unexpected null value for column %q of %s", left.Name, s.where())
		return filter.False
	}
	name := ""
	if strings.HasPrefix(spelling, "_") || strings.HasPrefix(spelling, "$") {
		name = spelling[1:]
	}
	if name == "is_null" {
		null, ok := value.(bool)
		if !ok {
			s.fail(path, "expected a boolean")
		}
		return filter.IsNull{Of: left, Negated: !null}
	}
	if op, ok := columnOps[name]; ok {
		return s.compareColumns(left, op, value, path)
	}
	if e, ok := s.special(column, left, name, value, path); ok {
		return e
	}
	op, ok := valueOps[name]
	switch {
	case !ok:
		s.fail(path, "unknown operator %q for column %q of %s", spelling, left.Name, s.where())
	case !fits(op, column):
		s.fail(path, "the operator %q does not fit column %q of %s, which is of type %s", spelling, left.Name, s.where(), column.Type.Name)
	case op == filter.In || op == filter.NotIn:
		return s.membership(column, left, op, value, path)
	default:
		return filter.Compare{Left: left, Op: op, Right: s.param(operandType(op, column), value, path)}
	}
	return filter.False
}

// compareColumns compiles _ceq and its like: a column of the same row, or
// ["$", column] of the row that the permission is about.
func (s scope) compareColumns(left filter.Column, op filter.Op, value any, path string) filter.Expr {
	of, up := s.table, 0
	if list, ok := value.([]any); ok {
		switch {
		case len(list) == 2 && list[0] == "$":
			of, up, value = s.compiler.table, s.depth, list[1]
		case len(list) == 1:
			value = list[0]
		}
	}
	name, ok := value.(string)
	if !ok {
		s.fail(path, `expected a column or ["$", column]`)
		return filter.False
	}
	asked := scope{compiler: s.compiler, table: of}
	right, ok := of.Stored(name)
	switch {
	case ok && asked.reads(right):
		other := asked.operand(right)
		other.Up = up
		return filter.Compare{Left: left, Op: op, Right: other}
	case s.reader != nil:
		return asked.unknown(name, path)
	}
	s.fail(path, "column %q does not exist in table %q", name, model.ShortName(of.Name))
	return filter.False
}

// fits reports whether Postgres has the operator for the column's type.
func fits(op filter.Op, column *model.Column) bool {
	scalar := column.Base.Name
	switch op {
	case filter.Like, filter.NotLike, filter.ILike, filter.NotILike, filter.Similar, filter.NotSimilar,
		filter.Regex, filter.NotRegex, filter.IRegex, filter.NotIRegex:
		return column.Category == "S" && !column.List()
	case filter.Contains, filter.ContainedIn:
		return column.List() || scalar == "jsonb"
	case filter.HasKey, filter.HasKeysAny, filter.HasKeysAll:
		return scalar == "jsonb" && !column.List()
	case filter.Ancestor, filter.AncestorAny, filter.Descendant, filter.DescendantAny,
		filter.Matches, filter.MatchesAny, filter.MatchesFulltext:
		return scalar == "ltree" && !column.List()
	}
	return scalar != "json" && scalar != "xml"
}

// operandType is the type of the right side.
func operandType(op filter.Op, column *model.Column) catalog.TypeRef {
	text := catalog.TypeRef{Schema: "pg_catalog", Name: "text"}
	switch op {
	case filter.HasKey:
		return text
	case filter.HasKeysAny, filter.HasKeysAll:
		text.Dimensions = 1
		return text
	case filter.AncestorAny, filter.DescendantAny:
		return catalog.TypeRef{Schema: column.Base.Schema, Name: column.Base.Name, Dimensions: 1}
	case filter.Matches:
		return catalog.TypeRef{Schema: column.Base.Schema, Name: "lquery"}
	case filter.MatchesAny:
		return catalog.TypeRef{Schema: column.Base.Schema, Name: "lquery", Dimensions: 1}
	case filter.MatchesFulltext:
		return catalog.TypeRef{Schema: column.Base.Schema, Name: "ltxtquery"}
	}
	return column.Base
}
