package access

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"tenantry/api/session"
	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
)

// sessionCondition compiles _session: comparisons of session variables, which no
// row has a part in. Postgres decides them once, before it reads a row.
func (s scope) sessionCondition(value any, path string) filter.Expr {
	object, ok := value.(map[string]any)
	if !ok {
		s.fail(path, "expected an object of session variables")
		return filter.False
	}
	all := filter.And{}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at := path + "." + name
		if !session.IsVariable(name) {
			s.fail(at, "expected a session variable, as x-hasura-user-id")
			continue
		}
		operators, ok := object[name].(map[string]any)
		if !ok {
			operators = map[string]any{"_eq": object[name]}
		}
		for _, op := range slices.Sorted(maps.Keys(operators)) {
			all = append(all, s.compareSession(strings.ToLower(name), op, operators[op], at+"."+op))
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return all
}

// sessionOps are the operators for session variables.
var sessionOps = []filter.Op{
	filter.Eq, filter.Neq, filter.Gt, filter.Gte, filter.Lt, filter.Lte, filter.In, filter.NotIn,
	filter.Like, filter.NotLike, filter.ILike, filter.NotILike, filter.Regex, filter.NotRegex, filter.IRegex, filter.NotIRegex,
}

// compareSession compares a variable with a value, whose JSON type says what the
// variable is read as.
func (s scope) compareSession(name, spelling string, value any, path string) filter.Expr {
	op := filter.Op(strings.TrimPrefix(spelling, "_"))
	if !strings.HasPrefix(spelling, "_") || !slices.Contains(sessionOps, op) {
		s.fail(path, "unknown operator %q for a session variable", spelling)
		return filter.False
	}
	sample, many := value, op == filter.In || op == filter.NotIn
	if many {
		list, ok := value.([]any)
		variable, _ := value.(string)
		switch {
		case ok && len(list) > 0:
			sample = list[0]
		case !ok && !session.IsVariable(variable):
			s.fail(path, "expected a list or a session variable")
			return filter.False
		case op == filter.In && ok:
			return filter.False
		case ok:
			return filter.True
		}
	}
	t, ok := typeOf(sample)
	if list, isList := value.([]any); isList {
		for _, item := range list {
			other, known := typeOf(item)
			text, _ := item.(string)
			ok = ok && known && other == t && !session.IsVariable(text)
		}
	}
	if !ok {
		s.fail(path, "expected a boolean, a number or a string, or a list of one of them")
		return filter.False
	}
	if pattern := !slices.Contains(sessionOps[:8], op); pattern && t.Name != "text" {
		s.fail(path, "expected a string")
		return filter.False
	}
	right := t
	if many {
		right.Dimensions = 1
	}
	return filter.Compare{Left: filter.Param{From: filter.Session, Name: name, Type: t}, Op: op, Right: s.param(right, value, path)}
}

// typeOf is the type of a JSON scalar.
func typeOf(value any) (catalog.TypeRef, bool) {
	name := ""
	switch value.(type) {
	case bool:
		name = "bool"
	case json.Number:
		name = "numeric"
	case string:
		name = "text"
	}
	return catalog.TypeRef{Schema: "pg_catalog", Name: name}, name != ""
}
