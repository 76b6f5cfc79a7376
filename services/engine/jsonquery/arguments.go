package jsonquery

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"tenantry/api/errcode"
	"tenantry/services/engine/plan"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// object is a decoded JSON object; its numbers are json.Number.
type object map[string]any

func decode(text []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, errcode.New(errcode.InvalidJSON, "the arguments are not valid JSON").At("$")
	}
	o, ok := value.(map[string]any)
	if !ok {
		return nil, wrongForm("$", "an object")
	}
	return o, nil
}

// given is a member that is there and not null.
func (o object) given(key string) (any, bool) {
	value := o[key]
	return value, value != nil
}

// strings is a member that lists strings; a single one is a list too if one says so.
func (o object) strings(key, path string, one bool) (list []string, given bool, err error) {
	value, ok := o.given(key)
	if !ok {
		return nil, false, nil
	}
	if text, ok := value.(string); ok && one {
		return []string{text}, true, nil
	}
	items, ok := value.([]any)
	for _, item := range items {
		text, is := item.(string)
		ok = ok && is
		list = append(list, text)
	}
	if !ok {
		return nil, true, wrongForm(path+"."+key, "a list of names")
	}
	return list, true, nil
}

// missing is what is said of a key that has to be there.
func missing(key string) *errcode.Error {
	return errcode.New(errcode.ParseFailed, "key %q not found", key).At("$")
}

func wrongForm(path, expected string) *errcode.Error {
	return errcode.New(errcode.ParseFailed, "expected %s", expected).At(path)
}

func catalogName(t metadata.TableName) catalog.Name {
	return catalog.Name{Schema: t.Schema, Name: t.Name}
}

// plainArguments are shown to policies as they are; the others in the spelling of
// GraphQL.
var plainArguments = []string{"limit", "offset", "order_by", "distinct", "on_conflict"}

// assignedArguments are the operators of an update, and their names in GraphQL.
var assignedArguments = map[string]string{"values": "_set", "$set": "_set", "$inc": "_inc", "$mul": "_mul"}

// arguments are what policies and validating webhooks see of the command: the
// arguments that the same operation in GraphQL has, with its names of operators
// and columns, so that one rule judges both languages.
func (p *planning) arguments() []plan.Argument {
	args := p.command.args
	show := func(name string, value any) { p.variables[name] = value }
	for _, name := range plainArguments {
		if value, ok := args.given(name); ok {
			show(name, value)
		}
	}
	if where, ok := args.given("where"); ok {
		show("where", condition(p.table, where))
	}
	if rows, ok := args["objects"].([]any); ok {
		shown := make([]any, len(rows))
		for i, row := range rows {
			shown[i] = renamed(p.table, row)
		}
		show("objects", shown)
	}
	for key, name := range assignedArguments {
		if value, ok := args.given(key); ok {
			show(name, renamed(p.table, value))
		}
	}
	if list, ok := args.given("$default"); ok {
		show("_default", list)
	}
	var out []plan.Argument
	for _, name := range slices.Sorted(maps.Keys(p.variables)) {
		if name != rowsVariable {
			out = append(out, plan.Argument{Name: name, Value: plan.Value{Kind: plan.VariableValue, Variable: name}})
		}
	}
	return out
}

// renamed has the names of columns in GraphQL as its keys, where they have one.
func renamed(t *model.Table, value any) any {
	row, ok := value.(map[string]any)
	if !ok {
		return value
	}
	out := make(map[string]any, len(row))
	for key, v := range row {
		out[graphqlName(t, key)] = v
	}
	return out
}

func graphqlName(t *model.Table, stored string) string {
	if c, ok := t.Stored(stored); ok && c.Name != "" {
		return c.Name
	}
	return stored
}

// condition is a condition as GraphQL writes it: operators with an underscore, a
// bare value as _eq.
func condition(t *model.Table, value any) any {
	o, ok := value.(map[string]any)
	if !ok {
		return value
	}
	out := make(map[string]any, len(o))
	for key, v := range o {
		switch name := spelling(key); {
		case name == "_and" || name == "_or":
			list, ok := v.([]any)
			if !ok {
				list = []any{v}
			}
			shown := make([]any, len(list))
			for i, item := range list {
				shown[i] = condition(t, item)
			}
			out[name] = shown
		case name == "_not":
			out[name] = condition(t, v)
		case name == "_exists":
			out[name] = v
		default:
			out[graphqlName(t, key)] = compared(t, key, v)
		}
	}
	return out
}

// compared is what a condition says of a column or relationship.
func compared(t *model.Table, key string, value any) any {
	if _, ok := t.Stored(key); !ok {
		if r, ok := t.Relationship(key); ok {
			return condition(r.Target, value)
		}
	}
	o, ok := value.(map[string]any)
	if !ok {
		return map[string]any{"_eq": value}
	}
	out := make(map[string]any, len(o))
	for op, v := range o {
		out[spelling(op)] = v
	}
	return out
}

// spelling is an operator as GraphQL spells it.
func spelling(op string) string {
	if rest, ok := strings.CutPrefix(op, "$"); ok {
		return "_" + rest
	}
	return op
}
