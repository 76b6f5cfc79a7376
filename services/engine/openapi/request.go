package openapi

import (
	"fmt"
	"maps"
	"mime"
	"slices"
	"strconv"
	"strings"

	"tenantry/tenants/metadata"
)

// request collects what a call of an operation is made of.
type request struct {
	*importer
	operation
	definition *metadata.ActionDefinition
	arguments  map[string]bool // names

	path    map[string]string // name in the path → template
	query   []parameter
	headers map[string]string
	content *metadata.TransformBody
	form    bool
}

// parameter is one of the query.
type parameter struct {
	mapped
	name, value string // value: path
	explode     bool
}

// argument adds one and returns the path by which templates find it, which is null
// where the client gave none.
func (r *request) argument(name, description, ref string) (path string) {
	unique := identifier(name)
	for n := 2; r.arguments[unique]; n++ {
		unique = identifier(name) + strconv.Itoa(n)
	}
	r.arguments[unique] = true
	r.definition.Arguments = append(r.definition.Arguments, metadata.Argument{Name: unique, Type: ref, Description: description})
	if strings.HasSuffix(ref, "!") {
		return "$body.input." + unique
	}
	return "$body.input?." + unique
}

// parameters maps those of the path's item and the operation's own, which win.
func (r *request) parameters() bool {
	type key struct{ in, name string }
	places := map[key]place{}
	found := map[key]*parameterObject{}
	var order []key
	collect := func(list []*ref[parameterObject], pointer string) {
		for n, p := range list {
			if p == nil || p.value == nil {
				continue
			}
			k := key{p.value.in, p.value.name}
			if found[k] == nil {
				order = append(order, k)
			}
			where := at(pointer, "parameters", strconv.Itoa(n))
			if p.ref != "" {
				where = strings.TrimPrefix(p.ref, "#")
			}
			found[k] = p.value
			places[k] = place{p.value.schema, at(where, "schema"), r.id + "_" + k.name}
		}
	}
	collect(r.item.parameters, at("/paths", r.operation.path))
	collect(r.operation.parameters, r.pointer)
	r.path = map[string]string{}
	r.headers = map[string]string{}
	for _, k := range order {
		if !r.parameter(found[k], places[k]) {
			return false
		}
	}
	return r.complete()
}

// complete checks that every name in the path has a parameter.
func (r *request) complete() bool {
	for _, step := range strings.Split(r.operation.path, "{")[1:] {
		name, _, closed := strings.Cut(step, "}")
		if !closed || r.path[name] == "" {
			r.unmapped(r.operation, at("/paths", r.operation.path), fmt.Sprintf("the path names %q, which is no parameter", short(name)))
			return false
		}
	}
	return true
}

// leave leaves a parameter out, or the operation that can't do without.
func (r *request) leave(p *parameterObject, pointer, reason string) bool {
	if p.required {
		r.unmapped(r.operation, pointer, "the required parameter "+strconv.Quote(short(p.name))+": "+reason)
		return false
	}
	r.types.note(pointer, "the parameter is left out: %s", reason)
	return true
}

func (r *request) parameter(p *parameterObject, where place) bool {
	pointer := strings.TrimSuffix(where.pointer, "/schema")
	switch {
	case p.in == inCookie:
		return r.leave(p, pointer, "cookies are not made of arguments")
	case p.in == inHeader && slices.Contains([]string{"accept", "content-type", "authorization"}, strings.ToLower(p.name)):
		return true // not parameters, by the specification
	case p.in == inHeader && queryName(p.name) != p.name:
		return r.leave(p, at(pointer, "name"), "the name of a header has letters, digits and -")
	case p.schema == nil:
		return r.leave(p, at(pointer, "content"), "a parameter with a content type of its own")
	case p.style != "" && p.style != "simple" && p.style != "form":
		return r.leave(p, at(pointer, "style"), "the style "+strconv.Quote(short(p.style)))
	}
	m := r.types.parameter(where)
	if !m.scalar && !(m.list && p.in == inQuery) {
		return r.leave(p, where.pointer, "a "+p.in+" parameter that is no scalar")
	}
	argument := r.argument(p.name, p.description, m.required(p.required || p.in == inPath))
	switch p.in {
	case inPath:
		r.path[p.name] = step(m.text(argument))
	case inQuery:
		r.query = append(r.query, parameter{m, p.name, argument, p.explode})
	case inHeader:
		r.headers[p.name] = m.text(argument)
	}
	return true
}

// step is a template for one step of a path. A value that would lead to another
// path has none: the template fails and nothing is called.
func step(text string) string {
	return fmt.Sprintf(`{{ if "%[1]s" in ["", ".", ".."] }}{{ head([]) }}{{ else }}{{ escapeUri("%[1]s") }}{{ end }}`, text)
}

// body maps what is sent. JSON is one argument, a form has one for each field.
func (r *request) body() bool {
	r.content = &metadata.TransformBody{Action: metadata.BodyRemove}
	if r.requestBody == nil || r.requestBody.value == nil {
		return true
	}
	pointer := at(r.pointer, "requestBody")
	if r.requestBody.ref != "" {
		pointer = strings.TrimPrefix(r.requestBody.ref, "#")
	}
	body := r.requestBody.value
	kind, isForm := chosen(body.content)
	if kind == "" {
		kinds := short(strings.Join(slices.Sorted(maps.Keys(body.content)), ", "))
		if body.required {
			r.unmapped(r.operation, at(pointer, "content"), "the body is "+kinds+", expected JSON or application/x-www-form-urlencoded")
			return false
		}
		r.types.note(at(pointer, "content"), "the body is %s: none is sent", kinds)
		return true
	}
	where := place{body.content[kind], at(pointer, "content", kind, "schema"), r.id + "_body"}
	if isForm {
		return r.fields(where)
	}
	m := r.types.of(where, true)
	argument := r.argument("body", body.description, m.required(body.required))
	r.content = &metadata.TransformBody{Action: metadata.BodyTransform, Template: "{{" + argument + "}}"}
	return true
}

// chosen is the content type that an action can send: JSON before a form.
func chosen(content content) (kind string, form bool) {
	if kind = jsonType(content); kind != "" {
		return kind, false
	}
	for _, kind := range slices.Sorted(maps.Keys(content)) {
		if name, _, _ := mime.ParseMediaType(kind); name == "application/x-www-form-urlencoded" {
			return kind, true
		}
	}
	return "", false
}

// jsonType is the first content type that is JSON; empty when none is.
func jsonType(content content) string {
	for _, kind := range slices.Sorted(maps.Keys(content)) {
		name, _, _ := mime.ParseMediaType(kind)
		if name == "application/json" || strings.HasPrefix(name, "application/") && strings.HasSuffix(name, "+json") || name == "*/*" {
			return kind
		}
	}
	return ""
}

// fields maps a form: one argument for each field that is a scalar.
func (r *request) fields(where place) bool {
	members := map[string]member{}
	if where.schemaRef == nil || !r.types.compose(where, members, nil) {
		r.unmapped(r.operation, where.pointer, "expected an object as the schema of a form")
		return false
	}
	form := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		m := members[name]
		if m.schemaRef == nil {
			continue
		}
		field := r.types.parameter(m.place)
		if !field.scalar {
			if m.required {
				r.unmapped(r.operation, m.pointer, "a required field of a form that is no scalar")
				return false
			}
			r.types.note(m.pointer, "the field of a form is left out: it is no scalar")
			continue
		}
		description := ""
		if m.value != nil {
			description = m.value.description
		}
		form[name] = field.text(r.argument(name, description, field.required(m.required)))
	}
	if len(form) > 0 {
		r.content, r.form = &metadata.TransformBody{Action: metadata.BodyForm, FormTemplate: form}, true
	}
	return true
}

// transform is the request as the API wants it.
func (r *request) transform() *metadata.RequestTransform {
	t := &metadata.RequestTransform{
		Version: 2, TemplateEngine: "Kriti", Method: r.method, URL: "{{$base_url}}" + r.address(), QueryParams: r.parametersOf(), Body: r.content,
	}
	var remove []string
	if r.content.Action == metadata.BodyRemove {
		remove = []string{"content-type"}
	}
	if len(r.headers) > 0 || len(remove) > 0 {
		t.RequestHeaders = &metadata.TransformHeaders{RemoveHeaders: remove}
		if len(r.headers) > 0 {
			t.RequestHeaders.AddHeaders = r.headers
		}
	}
	return t
}

// address is the path with templates for its parameters.
func (r *request) address() string {
	pieces := strings.Split(r.operation.path, "{")
	var out strings.Builder
	out.WriteString(verbatim(pieces[0]))
	for _, piece := range pieces[1:] {
		name, rest, _ := strings.Cut(piece, "}")
		out.WriteString(r.path[name] + verbatim(rest))
	}
	return out.String()
}

// verbatim is a text that no template reads anything into.
func verbatim(text string) string {
	return strings.NewReplacer(`\`, `\\`, "{", "", "}", "").Replace(text)
}

// parametersOf are templates by name; where there are lists, one for the query.
func (r *request) parametersOf() *metadata.QueryParams {
	if len(r.query) == 0 {
		return nil
	}
	if !slices.ContainsFunc(r.query, func(p parameter) bool { return p.list }) {
		by := map[string]*string{}
		for _, p := range r.query {
			value := p.text(p.value)
			by[p.name] = &value
		}
		return &metadata.QueryParams{Map: by}
	}
	lists := make([]string, len(r.query))
	for n, p := range r.query {
		lists[n] = p.template()
	}
	return &metadata.QueryParams{Text: fmt.Sprintf(
		`{{ concat(concat([[""], {{ range i, x := concat([%s]) }}"{{ if i == 0 }}""{{ else }}"&"{{ end }}{{ x }}"{{ end }}])) }}`,
		strings.Join(lists, ", "))}
}

// template is a list of the parameter's pairs: empty where there is no value.
func (p parameter) template() string {
	name := queryName(p.name)
	var list string
	switch {
	case !p.list:
		list = fmt.Sprintf(`["%s={{ escapeUri("%s") }}"]`, name, p.text(p.value))
	case p.explode:
		list = fmt.Sprintf(`{{ range _, x := %s }}"%s={{ escapeUri("%s") }}"{{ end }}`, p.value, name, p.text("x"))
	default:
		list = fmt.Sprintf(`["%s={{ concat(concat([[""], {{ range i, x := %s }}"{{ if i == 0 }}""{{ else }}","{{ end }}{{ escapeUri("%s") }}"{{ end }}])) }}"]`,
			name, p.value, p.text("x"))
	}
	if !strings.Contains(p.value, "?") {
		return list
	}
	return fmt.Sprintf(`{{ if %s == null }}[]{{ else }}%s{{ end }}`, p.value, list)
}

// queryName is the name of a parameter as it stands in a query, and in a template.
func queryName(name string) string {
	var out strings.Builder
	for i := range len(name) {
		c := name[i]
		if 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			out.WriteByte(c)
			continue
		}
		fmt.Fprintf(&out, "%%%02X", c)
	}
	return out.String()
}
