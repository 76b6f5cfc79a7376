package permissiontest

import "strings"

type object = map[string]any

// roles that have permissions of their own; two differ only by case.
var roles = []string{"user", "User", "éditeur", "guest"}

// inheritedRoles each unite roles of those before them.
var inheritedRoles = []string{"both", "deep"}

// metadata is a random document, as JSON decodes it.
func (d dice) metadata() object {
	var list []any
	for _, t := range tables {
		list = append(list, d.tableMetadata(t))
	}
	sets := map[string][]any{"both": {}, "deep": {"both"}}
	for len(sets["both"]) < 2 {
		sets["both"] = anys(some(d, roles, 60))
	}
	sets["deep"] = append(sets["deep"], anys(some(d, roles, 40))...)
	var inherited []any
	for _, name := range inheritedRoles {
		inherited = append(inherited, object{"role_name": name, "role_set": sets[name]})
	}
	return object{"version": 3, "inherited_roles": inherited, "sources": []any{object{
		"name": "default", "kind": "postgres", "tables": list,
		"configuration": object{"connection_info": object{"database_url": object{"from_env": "TENANTRY_DATABASE"}}},
	}}}
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, item := range list {
		out[i] = item
	}
	return out
}

func (d dice) tableMetadata(t *table) object {
	names := object{}
	for _, c := range t.columns {
		if c.name != c.stored {
			names[c.stored] = object{"custom_name": c.name}
		}
	}
	out := object{"table": object{"schema": "public", "name": t.stored}, "configuration": object{"custom_name": t.name, "column_config": names}}
	var objects, arrays []any
	for _, r := range t.relations {
		made := object{"name": r.name, "using": object{"manual_configuration": object{
			"remote_table":   object{"schema": "public", "name": tableNamed(r.target).stored},
			"column_mapping": object{r.local: r.remote},
		}}}
		if r.array {
			arrays = append(arrays, made)
		} else {
			objects = append(objects, made)
		}
	}
	out["object_relationships"], out["array_relationships"] = objects, arrays
	permissions := map[string][]any{}
	for _, role := range append(roles[:len(roles):len(roles)], inheritedRoles...) {
		// Inherited roles have permissions of their own now and then, which stand
		// instead of what they inherit.
		own := 85
		if role == "both" || role == "deep" {
			own = 12
		}
		for _, kind := range []string{"select", "insert", "update", "delete"} {
			if d.chance(own) {
				permissions[kind] = append(permissions[kind], object{"role": role, "permission": d.rule(kind, t)})
			}
		}
	}
	for kind, list := range permissions {
		out[kind+"_permissions"] = list
	}
	return out
}

func (d dice) rule(kind string, t *table) object {
	switch kind {
	case "select":
		return d.selectRule(t)
	case "insert":
		return d.insertRule(t)
	case "update":
		return d.updateRule(t)
	}
	return d.deleteRule(t)
}

// columnsOf are some of a table's columns; the key always, so that there is an
// order in which no two rows are equal.
func (d dice) columnsOf(t *table) any {
	if d.chance(20) {
		return "*"
	}
	columns := []any{"id"}
	for _, c := range some(d, t.columns[1:], 60) {
		columns = append(columns, c.stored)
	}
	return columns
}

func (d dice) selectRule(t *table) object {
	out := object{"columns": d.columnsOf(t), "filter": d.filter(t, t, 3)}
	if d.chance(30) {
		out["limit"] = 1 + d.IntN(4)
	}
	if list, ok := out["columns"].([]any); ok && d.chance(35) {
		masks := object{}
		for _, name := range list[1:] {
			c, _ := t.byStored(name.(string))
			switch {
			case d.chance(60):
			case c.kind == "text":
				masks[c.stored] = pick(d, []any{nil, "null", "hash", "partial"})
			default:
				masks[c.stored] = nil
			}
		}
		out["masks"] = masks
	}
	return out
}

func (d dice) presets(t *table) object {
	set := object{}
	for _, c := range some(d, t.columns[1:], 20) {
		set[c.stored] = d.value(c.kind, 10)
		if c.kind != "bool" && d.chance(40) {
			set[c.stored] = d.variable(c.kind)
		}
	}
	return set
}

func (d dice) insertRule(t *table) object {
	return object{"check": d.check(t), "columns": d.columnsOf(t), "set": d.presets(t)}
}

// check is a filter that more rows pass.
func (d dice) check(t *table) object {
	if d.chance(50) {
		return object{}
	}
	return d.filter(t, t, 1)
}

func (d dice) updateRule(t *table) object {
	out := object{"columns": d.columnsOf(t), "filter": d.filter(t, t, 2), "set": d.presets(t)}
	if d.chance(50) {
		out["check"] = d.check(t)
	}
	return out
}

func (d dice) deleteRule(t *table) object { return object{"filter": d.filter(t, t, 2)} }

// Session variables: scalars by kind, and lists of them in Postgres' notation.
var (
	scalarVariables = map[string][]string{"int": {"X-Hasura-User-Id", "x-hasura-level"}, "text": {"X-Hasura-Name", "x-hasura-role"}}
	listVariables   = map[string][]string{"int": {"X-Hasura-Ids"}, "text": {"x-hasura-Names"}}
)

func (d dice) variable(kind string) string { return pick(d, scalarVariables[kind]) }

// session is a random session; some variables are missing now and then.
func (d dice) session(role string) map[string]string {
	out := map[string]string{
		"x-hasura-role": role, "x-hasura-user-id": string(rune('0' + d.IntN(6))), "x-hasura-level": string(rune('0' + d.IntN(4))),
		"x-hasura-name":  pick(d, texts),
		"x-hasura-ids":   pick(d, []string{"{}", "{1}", "{0,2,4}", "{1,NULL,3}", "{NULL}"}),
		"x-hasura-names": pick(d, []string{"{}", `{"ä",a}`, `{"NULL",NULL}`, `{"x'y\"z\\","日本語テキスト",""}`}),
		"x-hasura-admin": pick(d, []string{"true", "false"}),
	}
	for _, name := range []string{"x-hasura-user-id", "x-hasura-ids", "x-hasura-name", "x-hasura-admin"} {
		if d.chance(3) {
			delete(out, name)
		}
	}
	return out
}

// filter is a random rule over a row of t, inside a permission on root.
func (d dice) filter(t, root *table, depth int) object {
	if d.chance(15) || depth == 1 && d.chance(15) {
		return object{}
	}
	out := object{}
	for range 1 + d.IntN(3)/2 {
		key, value := d.condition(t, root, depth)
		out[key] = value
	}
	return out
}

func (d dice) filters(t, root *table, depth int) []any {
	var out []any
	for range 1 + d.IntN(3) {
		out = append(out, d.filter(t, root, depth))
	}
	return out
}

func (d dice) condition(t, root *table, depth int) (string, any) {
	if depth > 0 {
		switch d.IntN(9) {
		case 0:
			return pick(d, []string{"_and", "$and"}), d.filters(t, root, depth-1)
		case 1:
			return "_or", d.filters(t, root, depth-1)
		case 2:
			return "_not", d.filter(t, root, depth-1)
		case 3:
			r := pick(d, t.relations)
			return r.name, d.filter(tableNamed(r.target), root, depth-1)
		case 4:
			target := pick(d, tables)
			return "_exists", object{"_table": object{"schema": "public", "name": target.stored}, "_where": d.filter(target, root, depth-1)}
		case 5:
			return "_session", d.sessionCondition()
		}
	}
	c := pick(d, t.columns)
	return c.stored, d.comparison(c, t, root)
}

func (d dice) sessionCondition() object {
	return pick(d, []object{
		{"x-hasura-admin": object{"_eq": d.chance(50)}},
		{"X-Hasura-Level": object{pick(d, []string{"_gt", "_lte", "_eq", "_neq"}): int64(d.IntN(4))}},
		{"X-Hasura-Name": object{"_in": append(anys(some(d, texts[1:], 50)), "zz")}, "x-hasura-level": object{"_gte": int64(1)}},
		{"x-hasura-role": pick(d, roles)},
	})
}

// comparison is what a rule says of a column.
func (d dice) comparison(c column, t, root *table) any {
	literal := d.value(c.kind, 0)
	scalar := func() any {
		if c.kind != "bool" && d.chance(30) {
			return d.variable(c.kind)
		}
		return literal
	}
	switch d.IntN(8) {
	case 0:
		return object{"_is_null": d.chance(50)}
	case 1:
		return scalar()
	case 2, 3:
		op := pick(d, []string{"_in", "_nin"})
		if c.kind != "bool" && d.chance(40) {
			return object{op: pick(d, listVariables[c.kind])}
		}
		list := []any{literal}
		for range d.IntN(3) {
			list = append(list, scalar())
		}
		return object{op: list}
	case 4:
		if c.kind == "text" {
			return object{pick(d, []string{"_like", "_nlike"}): pick(d, []string{"%", "a%", "%_b", "_", "ä%", `%\\`, "%日%"})}
		}
	case 5:
		op := pick(d, []string{"_ceq", "_cne", "_cgt", "_clte"})
		if other, ok := d.sameKind(root, c.kind); ok && d.chance(50) {
			return object{op: []any{"$", other}}
		}
		other, _ := d.sameKind(t, c.kind)
		return object{op: other}
	case 6:
		return object{"_gte": scalar(), pick(d, []string{"_neq", "_lt"}): scalar()}
	}
	return object{pick(d, []string{"_eq", "$eq", "_ne", "_neq", "_gt", "_lt", "_gte", "_lte"}): scalar()}
}

func (d dice) sameKind(t *table, kind string) (string, bool) {
	var names []string
	for _, c := range t.columns {
		if c.kind == kind {
			names = append(names, c.stored)
		}
	}
	if len(names) == 0 {
		return "", false
	}
	return pick(d, names), true
}

func isVariable(value any) (string, bool) {
	text, ok := value.(string)
	lower := strings.ToLower(text)
	return lower, ok && strings.HasPrefix(lower, "x-hasura-") && len(lower) > len("x-hasura-")
}

// allVariables is how many variables a session has when none is missing.
const allVariables = 7
