package operation

import (
	"encoding/json"
	"sort"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/services/engine/schema"
)

// maxIntrospection bounds the answer of one introspection field, in bytes.
const maxIntrospection = 64 << 20

// Introspect answers a __schema or __type field of the operation as JSON. The
// full schema of the role is built for the call and dropped after it.
func (op *Operation) Introspect(s *schema.Schema, f *Field, vars map[string]any) (json.RawMessage, error) {
	w := &introspection{op: op, vars: vars, schema: s.Full(), collected: map[collectKey][]*Field{}}
	switch f.Name {
	case "__schema":
		w.object(f.Selections, "__Schema", w.schemaField)
	case "__type":
		value, _ := f.Argument("name", vars)
		name, _ := value.(string)
		if d := w.schema.Types[name]; d != nil {
			w.namedType(f.Selections, d)
		} else {
			w.out = append(w.out, "null"...)
		}
	default:
		return nil, invalid("$", "field '%s' is not an introspection field", f.Name)
	}
	if len(w.out) > maxIntrospection {
		return nil, invalid("$", "the introspection answers more than %d bytes", maxIntrospection)
	}
	return w.out, nil
}

// introspection writes the answer of one field.
type introspection struct {
	op     *Operation
	vars   map[string]any
	schema *ast.Schema
	out    []byte
	// collected keeps the fields of selections: the same few apply to thousands
	// of types.
	collected map[collectKey][]*Field
}

type collectKey struct {
	first *ast.Selection
	n     int
	name  string
}

func (w *introspection) fields(set ast.SelectionSet, typeName string) []*Field {
	if len(set) == 0 {
		return nil
	}
	key := collectKey{&set[0], len(set), typeName}
	fields, ok := w.collected[key]
	if !ok {
		fields = w.op.Fields(set, w.vars, typeName)
		w.collected[key] = fields
	}
	return fields
}

// object writes an object; value writes the value of one of its fields.
func (w *introspection) object(set ast.SelectionSet, typeName string, value func(*Field)) {
	w.out = append(w.out, '{')
	for i, f := range w.fields(set, typeName) {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.out = strconv.AppendQuote(w.out, f.Key) // a GraphQL name needs no escapes
		w.out = append(w.out, ':')
		switch {
		case len(w.out) > maxIntrospection:
			w.null()
		case f.Name == "__typename":
			w.text(typeName)
		default:
			value(f)
		}
	}
	w.out = append(w.out, '}')
}

func (w *introspection) null() { w.out = append(w.out, "null"...) }

func (w *introspection) text(s string) {
	text, err := json.Marshal(s)
	if err != nil { // a string always encodes
		panic(err)
	}
	w.out = append(w.out, text...)
}

func (w *introspection) optional(s string) {
	if s == "" {
		w.null()
		return
	}
	w.text(s)
}

func (w *introspection) boolean(b bool) { w.out = strconv.AppendBool(w.out, b) }

func writeList[T any](w *introspection, items []T, one func(T)) {
	w.out = append(w.out, '[')
	for i, item := range items {
		if len(w.out) > maxIntrospection {
			break
		}
		if i > 0 {
			w.out = append(w.out, ',')
		}
		one(item)
	}
	w.out = append(w.out, ']')
}

func (w *introspection) schemaField(f *Field) {
	switch f.Name {
	case "types":
		types := make([]*ast.Definition, 0, len(w.schema.Types))
		for _, d := range w.schema.Types {
			types = append(types, d)
		}
		sort.Slice(types, func(i, j int) bool { return types[i].Name < types[j].Name })
		writeList(w, types, func(d *ast.Definition) { w.namedType(f.Selections, d) })
	case "queryType":
		w.namedType(f.Selections, w.schema.Query)
	case "mutationType":
		w.namedType(f.Selections, w.schema.Mutation)
	case "subscriptionType":
		w.namedType(f.Selections, w.schema.Subscription)
	case "directives":
		var list []*ast.DirectiveDefinition
		for _, d := range w.schema.Directives {
			list = append(list, d)
		}
		sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
		writeList(w, list, func(d *ast.DirectiveDefinition) {
			w.object(f.Selections, "__Directive", func(f *Field) { w.directiveField(f, d) })
		})
	default:
		w.null()
	}
}

func (w *introspection) directiveField(f *Field, d *ast.DirectiveDefinition) {
	switch f.Name {
	case "name":
		w.text(d.Name)
	case "description":
		w.optional(d.Description)
	case "isRepeatable":
		w.boolean(d.IsRepeatable)
	case "locations":
		writeList(w, d.Locations, func(l ast.DirectiveLocation) { w.text(string(l)) })
	case "args":
		w.arguments(f, d.Arguments)
	default:
		w.null()
	}
}

// typeOf writes a type reference: wrappers, then the named type.
func (w *introspection) typeOf(set ast.SelectionSet, t *ast.Type) {
	kind, inner := "", (*ast.Type)(nil)
	switch {
	case t.NonNull:
		c := *t
		c.NonNull = false
		kind, inner = "NON_NULL", &c
	case t.Elem != nil:
		kind, inner = "LIST", t.Elem
	default:
		w.namedType(set, w.schema.Types[t.NamedType])
		return
	}
	w.object(set, "__Type", func(f *Field) {
		switch f.Name {
		case "kind":
			w.text(kind)
		case "ofType":
			w.typeOf(f.Selections, inner)
		default:
			w.null()
		}
	})
}

func (w *introspection) namedType(set ast.SelectionSet, d *ast.Definition) {
	if d == nil {
		w.null()
		return
	}
	w.object(set, "__Type", func(f *Field) { w.typeField(f, d) })
}

func (w *introspection) typeField(f *Field, d *ast.Definition) {
	switch {
	case f.Name == "kind":
		w.text(string(d.Kind))
	case f.Name == "name":
		w.text(d.Name)
	case f.Name == "description":
		w.optional(d.Description)
	case f.Name == "fields" && (d.Kind == ast.Object || d.Kind == ast.Interface):
		writeList(w, visible(w, f, sortedFields(d), func(x *ast.FieldDefinition) ast.DirectiveList { return x.Directives }), func(x *ast.FieldDefinition) {
			w.object(f.Selections, "__Field", func(f *Field) { w.fieldField(f, x) })
		})
	case f.Name == "inputFields" && d.Kind == ast.InputObject:
		writeList(w, visible(w, f, sortedFields(d), func(x *ast.FieldDefinition) ast.DirectiveList { return x.Directives }), func(x *ast.FieldDefinition) {
			w.inputValue(f.Selections, x.Name, x.Description, x.Type, x.DefaultValue)
		})
	case f.Name == "enumValues" && d.Kind == ast.Enum:
		values := append(ast.EnumValueList{}, d.EnumValues...)
		sort.Slice(values, func(i, j int) bool { return values[i].Name < values[j].Name })
		writeList(w, visible(w, f, values, func(x *ast.EnumValueDefinition) ast.DirectiveList { return x.Directives }), func(x *ast.EnumValueDefinition) {
			w.object(f.Selections, "__EnumValue", func(f *Field) { w.enumField(f, x) })
		})
	case f.Name == "interfaces" && (d.Kind == ast.Object || d.Kind == ast.Interface):
		writeList(w, d.Interfaces, func(name string) { w.namedType(f.Selections, w.schema.Types[name]) })
	case f.Name == "possibleTypes" && d.IsAbstractType():
		writeList(w, w.schema.PossibleTypes[d.Name], func(d *ast.Definition) { w.namedType(f.Selections, d) })
	case f.Name == "isOneOf" && d.Kind == ast.InputObject:
		w.boolean(false)
	default:
		w.null()
	}
}

// sortedFields are the fields of a type without the meta fields.
func sortedFields(d *ast.Definition) []*ast.FieldDefinition {
	fields := make([]*ast.FieldDefinition, 0, len(d.Fields))
	for _, f := range d.Fields {
		if !strings.HasPrefix(f.Name, "__") {
			fields = append(fields, f)
		}
	}
	sort.Slice(fields, func(i, j int) bool { return fields[i].Name < fields[j].Name })
	return fields
}

// visible leaves out what is deprecated, unless the field asks for it.
func visible[T any](w *introspection, f *Field, items []T, directives func(T) ast.DirectiveList) []T {
	value, _ := f.Argument("includeDeprecated", w.vars)
	if all, _ := value.(bool); all {
		return items
	}
	var kept []T
	for _, item := range items {
		if directives(item).ForName("deprecated") == nil {
			kept = append(kept, item)
		}
	}
	return kept
}

func (w *introspection) fieldField(f *Field, d *ast.FieldDefinition) {
	switch f.Name {
	case "name":
		w.text(d.Name)
	case "description":
		w.optional(d.Description)
	case "args":
		w.arguments(f, d.Arguments)
	case "type":
		w.typeOf(f.Selections, d.Type)
	default:
		w.deprecation(f, d.Directives)
	}
}

func (w *introspection) enumField(f *Field, d *ast.EnumValueDefinition) {
	switch f.Name {
	case "name":
		w.text(d.Name)
	case "description":
		w.optional(d.Description)
	default:
		w.deprecation(f, d.Directives)
	}
}

func (w *introspection) deprecation(f *Field, list ast.DirectiveList) {
	d := list.ForName("deprecated")
	switch {
	case f.Name == "isDeprecated":
		w.boolean(d != nil)
	case f.Name == "deprecationReason" && d != nil:
		if reason := d.Arguments.ForName("reason"); reason != nil {
			w.text(reason.Value.Raw)
			return
		}
		w.text("No longer supported")
	default:
		w.null()
	}
}

func (w *introspection) arguments(f *Field, args ast.ArgumentDefinitionList) {
	sorted := append(ast.ArgumentDefinitionList{}, args...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Name < sorted[j].Name })
	writeList(w, visible(w, f, sorted, func(a *ast.ArgumentDefinition) ast.DirectiveList { return a.Directives }), func(a *ast.ArgumentDefinition) {
		w.inputValue(f.Selections, a.Name, a.Description, a.Type, a.DefaultValue)
	})
}

func (w *introspection) inputValue(set ast.SelectionSet, name, description string, t *ast.Type, value *ast.Value) {
	w.object(set, "__InputValue", func(f *Field) {
		switch f.Name {
		case "name":
			w.text(name)
		case "description":
			w.optional(description)
		case "type":
			w.typeOf(f.Selections, t)
		case "defaultValue":
			if value == nil {
				w.null()
				return
			}
			w.text(value.String())
		case "isDeprecated":
			w.boolean(false)
		default:
			w.null()
		}
	})
}
