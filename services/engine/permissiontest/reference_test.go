package permissiontest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// truth has SQL's three values.
type truth int8

const (
	no      truth = -1
	unknown truth = 0
	yes     truth = 1
)

func known(b bool) truth {
	if b {
		return yes
	}
	return no
}

// reference decides by the raw metadata what a session may see.
type reference struct {
	document object
	data     database
	session  map[string]string // lower-case names
}

func list(v any) []any { l, _ := v.([]any); return l }

// tableObject is a table's entry in the document.
func (r *reference) tableObject(t *table) object {
	for _, item := range list(list(r.document["sources"])[0].(object)["tables"]) {
		if name := item.(object)["table"].(object)["name"]; name == t.stored {
			return item.(object)
		}
	}
	panic("no table " + t.stored)
}

// own is a permission that the document gives a role itself.
func (r *reference) own(kind string, t *table, role string) (object, bool) {
	for _, p := range list(r.tableObject(t)[kind+"_permissions"]) {
		if p.(object)["role"] == role {
			return p.(object)["permission"].(object), true
		}
	}
	return nil, false
}

// members of an inherited role.
func (r *reference) members(role string) []string {
	for _, item := range list(r.document["inherited_roles"]) {
		if item.(object)["role_name"] == role {
			var out []string
			for _, m := range list(item.(object)["role_set"]) {
				out = append(out, m.(string))
			}
			return out
		}
	}
	return nil
}

// readers are what a role's permission to read is made of: one of its own, or
// those of its members; empty when it may not read.
func (r *reference) readers(t *table, role string) []string {
	if _, ok := r.own("select", t, role); ok {
		return []string{role}
	}
	var out []string
	for _, m := range r.members(role) {
		if len(r.readers(t, m)) > 0 {
			out = append(out, m)
		}
	}
	return out
}

// visible reports whether a role may see a row.
func (r *reference) visible(t *table, role string, at row) bool {
	if p, ok := r.own("select", t, role); ok {
		return r.rule(p["filter"], place{t, at, t, at}) == yes
	}
	for _, m := range r.readers(t, role) {
		if r.visible(t, m, at) {
			return true
		}
	}
	return false
}

// limit is the role's limit on rows; 0 is none.
func (r *reference) limit(t *table, role string) int {
	if p, ok := r.own("select", t, role); ok {
		return number(p["limit"])
	}
	most := 0
	for _, m := range r.readers(t, role) {
		n := r.limit(t, m)
		if n == 0 {
			return 0
		}
		most = max(most, n)
	}
	return most
}

func number(v any) int {
	if n, ok := v.(float64); ok {
		return int(n)
	}
	return 0
}

func names(v any, t *table) map[string]bool {
	out := map[string]bool{}
	if v == "*" || v == nil {
		for _, c := range t.columns {
			out[c.stored] = true
		}
	}
	for _, name := range list(v) {
		out[name.(string)] = true
	}
	return out
}

// columns that a role may read, of some row.
func (r *reference) columns(t *table, role string) []column {
	granted := map[string]bool{}
	var collect func(role string)
	collect = func(role string) {
		if p, ok := r.own("select", t, role); ok {
			for name := range names(p["columns"], t) {
				granted[name] = true
			}
			return
		}
		for _, m := range r.readers(t, role) {
			collect(m)
		}
	}
	collect(role)
	var out []column
	for _, c := range t.columns {
		if granted[c.stored] {
			out = append(out, c)
		}
	}
	return out
}

// How much is shown of a cell; more is higher.
const (
	hidden = iota
	hashed
	partly
	plain
)

// shown is how much a role is shown of a column of a row.
func (r *reference) shown(t *table, role string, c column, at row) int {
	p, ok := r.own("select", t, role)
	if !ok {
		readers := r.readers(t, role)
		if len(readers) == 1 {
			return r.shown(t, readers[0], c, at)
		}
		if r.always(t, role, c) {
			return plain
		}
		most := hidden
		for _, m := range readers {
			if r.visible(t, m, at) {
				most = max(most, r.shown(t, m, c, at))
			}
		}
		return most
	}
	if !names(p["columns"], t)[c.stored] {
		return hidden
	}
	masks, _ := p["masks"].(object)
	mask, masked := masks[c.stored]
	switch {
	case !masked:
		return plain
	case mask == "hash":
		return hashed
	case mask == "partial":
		return partly
	}
	return hidden
}

// always reports whether all that make up a role's permission show a column as it
// is: then conditions of the role's mutations see it in any row that it may write,
// as those of other roles do.
func (r *reference) always(t *table, role string, c column) bool {
	if p, ok := r.own("select", t, role); ok {
		masks, _ := p["masks"].(object)
		_, masked := masks[c.stored]
		return !masked && names(p["columns"], t)[c.stored]
	}
	for _, m := range r.readers(t, role) {
		if !r.always(t, m, c) {
			return false
		}
	}
	return true
}

// cell is what a role is shown of a column of a row.
func (r *reference) cell(t *table, role string, c column, at row) any {
	value := at[c.stored]
	text, _ := value.(string)
	switch shown := r.shown(t, role, c, at); {
	case value == nil || shown == hidden:
		return nil
	case shown == hashed:
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	case shown == partly && utf8.RuneCountInString(text) > 5:
		return string([]rune(text)[:2]) + "***"
	case shown == partly:
		return "***"
	}
	return value
}

// place is where a rule is evaluated: a row, and the row that the permission is
// about.
type place struct {
	t    *table
	at   row
	root *table
	top  row
}

func (p place) in(t *table, at row) place { return place{t, at, p.root, p.top} }

func and(a, b truth) truth { return min(a, b) }
func or(a, b truth) truth  { return max(a, b) }

// rule evaluates a boolean expression of the metadata.
func (r *reference) rule(v any, p place) truth {
	out := yes
	for key, value := range v.(object) {
		out = and(out, r.member(key, value, p))
	}
	return out
}

func (r *reference) member(key string, value any, p place) truth {
	switch strings.Replace(key, "$", "_", 1) {
	case "_and":
		out := yes
		for _, item := range list(value) {
			out = and(out, r.rule(item, p))
		}
		return out
	case "_or":
		out := no
		for _, item := range list(value) {
			out = or(out, r.rule(item, p))
		}
		return out
	case "_not":
		return -r.rule(value, p)
	case "_exists":
		target := tableStored(value.(object)["_table"].(object)["name"].(string))
		return r.some(r.data[target.stored], func(at row) truth { return r.rule(value.(object)["_where"], p.in(target, at)) })
	case "_session":
		return r.sessionRule(value.(object))
	}
	if c, ok := p.t.byStored(key); ok {
		return r.column(c, value, p)
	}
	relation := r.relation(p.t, key)
	return r.some(r.related(relation, p.at), func(at row) truth { return r.rule(value, p.in(relation.target, at)) })
}

// some is EXISTS: never unknown.
func (r *reference) some(rows []row, holds func(row) truth) truth {
	for _, at := range rows {
		if holds(at) == yes {
			return yes
		}
	}
	return no
}

type link struct {
	target        *table
	local, remote string
}

// relation reads a relationship from the document.
func (r *reference) relation(t *table, name string) link {
	doc := r.tableObject(t)
	for _, item := range append(list(doc["object_relationships"]), list(doc["array_relationships"])...) {
		if item.(object)["name"] != name {
			continue
		}
		manual := item.(object)["using"].(object)["manual_configuration"].(object)
		for local, remote := range manual["column_mapping"].(object) {
			return link{tableStored(manual["remote_table"].(object)["name"].(string)), local, remote.(string)}
		}
	}
	panic("no relationship " + name)
}

func (r *reference) related(l link, at row) []row {
	var out []row
	for _, other := range r.data[l.target.stored] {
		if at[l.local] != nil && at[l.local] == other[l.remote] {
			out = append(out, other)
		}
	}
	return out
}

func (r *reference) sessionRule(conditions object) truth {
	out := yes
	for name, operators := range conditions {
		all, ok := operators.(object)
		if !ok {
			all = object{"_eq": operators}
		}
		for op, value := range all {
			kind := "text"
			switch value.(type) {
			case bool:
				kind = "bool"
			case float64:
				kind = "int"
			}
			out = and(out, operate(op, r.variable(name, kind), r.operand(value, kind)))
		}
	}
	return out
}

func (r *reference) column(c column, value any, p place) truth {
	operators, ok := value.(object)
	if !ok {
		operators = object{"_eq": value}
	}
	out := yes
	for op, operand := range operators {
		op = strings.Replace(op, "$", "_", 1)
		left := p.at[c.stored]
		switch op {
		case "_is_null":
			out = and(out, known((left == nil) == operand.(bool)))
		case "_ceq", "_cne", "_cgt", "_clte":
			other, from := operand, p.at
			if pair, ok := operand.([]any); ok {
				other, from = pair[1], p.top
			}
			out = and(out, operate("_"+op[2:], left, from[other.(string)]))
		default:
			out = and(out, operate(op, left, r.operand(operand, c.kind)))
		}
	}
	return out
}

// operand is the right side of an operator: a scalar or a list of scalars. Lists
// in session variables are in Postgres' notation.
func (r *reference) operand(value any, kind string) any {
	if items, ok := value.([]any); ok {
		out := make([]any, len(items))
		for i, item := range items {
			out[i] = r.operand(item, kind)
		}
		return out
	}
	if name, ok := isVariable(value); ok {
		return r.variable(name, kind)
	}
	if n, ok := value.(float64); ok {
		return int64(n)
	}
	return value
}

// variable reads a session variable as a kind; a missing one is unknown here,
// and an error of the whole request elsewhere.
func (r *reference) variable(name, kind string) any {
	text, ok := r.session[strings.ToLower(name)]
	switch {
	case !ok:
		return nil
	case isList(name):
		return readArray(text, kind)
	}
	return read(text, kind)
}

func isList(name string) bool {
	return strings.EqualFold(name, "x-hasura-ids") || strings.EqualFold(name, "x-hasura-names")
}

func read(text, kind string) any {
	switch kind {
	case "int":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			panic(err)
		}
		return n
	case "bool":
		return text == "true"
	}
	return text
}

// readArray reads Postgres' notation of a list.
func readArray(text, kind string) []any {
	out := []any{}
	inside := strings.TrimSuffix(strings.TrimPrefix(text, "{"), "}")
	for len(inside) > 0 {
		var item strings.Builder
		quoted := inside[0] == '"'
		if quoted {
			inside = inside[1:]
		}
		for len(inside) > 0 && (quoted && inside[0] != '"' || !quoted && inside[0] != ',') {
			if inside[0] == '\\' {
				inside = inside[1:]
			}
			item.WriteByte(inside[0])
			inside = inside[1:]
		}
		if quoted {
			inside = inside[1:]
		}
		inside = strings.TrimPrefix(inside, ",")
		if !quoted && item.String() == "NULL" {
			out = append(out, nil)
		} else {
			out = append(out, read(item.String(), kind))
		}
	}
	return out
}

// operate compares with SQL's three values.
func operate(op string, left, right any) truth {
	switch op {
	case "_in", "_nin":
		items, ok := right.([]any)
		if !ok {
			return unknown // a list that is missing
		}
		out := no
		for _, item := range items {
			out = or(out, operate("_eq", left, item))
		}
		if op == "_nin" {
			return -out
		}
		return out
	}
	if left == nil || right == nil {
		return unknown
	}
	order := compare(left, right)
	switch op {
	case "_eq":
		return known(order == 0)
	case "_ne", "_neq":
		return known(order != 0)
	case "_gt":
		return known(order > 0)
	case "_gte":
		return known(order >= 0)
	case "_lt":
		return known(order < 0)
	case "_lte":
		return known(order <= 0)
	case "_like":
		return known(like([]rune(left.(string)), []rune(right.(string))))
	case "_nlike":
		return known(!like([]rune(left.(string)), []rune(right.(string))))
	}
	panic("no operator " + op)
}

func compare(a, b any) int {
	switch a := a.(type) {
	case int64:
		return int(a - b.(int64))
	case string:
		return strings.Compare(a, b.(string))
	}
	return number01(a) - number01(b)
}

func number01(v any) int {
	if v.(bool) {
		return 1
	}
	return 0
}

func like(text, pattern []rune) bool {
	if len(pattern) == 0 {
		return len(text) == 0
	}
	switch pattern[0] {
	case '%':
		for i := 0; i <= len(text); i++ {
			if like(text[i:], pattern[1:]) {
				return true
			}
		}
		return false
	case '_':
		return len(text) > 0 && like(text[1:], pattern[1:])
	case '\\':
		pattern = pattern[1:]
	}
	return len(text) > 0 && text[0] == pattern[0] && like(text[1:], pattern[1:])
}

// decoded is a value as encoding/json decodes it, so that the reference reads
// what the engine reads.
func decoded(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	return out
}
