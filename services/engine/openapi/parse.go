package openapi

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// parser makes a document of plain JSON. What is referred to is read once for all that
// refer to it.
type parser struct {
	*walk
	tree    map[string]any
	schemas map[string]*schemaRef // by pointer
	pending []pending
	// what references led to, by pointer
	items      map[string]*pathItem
	parameters map[string]*parameterObject
	bodies     map[string]*bodyObject
	responses  map[string]*responseObject
}

// pending is a reference to a schema, with where it is written.
type pending struct {
	*schemaRef
	pointer string
}

// maxReferences is how many references may lead from one to the next.
const maxReferences = 32

func parse(tree map[string]any, w *walk) *document {
	p := &parser{
		walk: w, tree: tree, schemas: map[string]*schemaRef{}, items: map[string]*pathItem{},
		parameters: map[string]*parameterObject{}, bodies: map[string]*bodyObject{}, responses: map[string]*responseObject{},
	}
	d := &document{paths: map[string]*pathItem{}}
	for n, v := range p.list(tree["servers"], "/servers") {
		d.servers = append(d.servers, p.server(v, at("/servers", strconv.Itoa(n))))
	}
	d.security = p.security(tree["security"], "/security")
	components := p.object(tree["components"], "/components")
	d.schemas = p.schemasOf(components["schemas"], "/components/schemas")
	p.described(tree["paths"], "/paths", func(path string, v any, pointer string) {
		if r := follow(p, p.items, v, pointer, p.pathItem); r != nil {
			d.paths[path] = r.value
		}
	})
	p.link()
	return d
}

// want is a value of a type; the zero value where there is none, or another.
func want[T any](p *parser, v any, pointer, what string) (out T) {
	if v == nil {
		return out
	}
	out, ok := v.(T)
	if !ok {
		p.wrong(pointer, "expected "+what)
	}
	return out
}

func (p *parser) object(v any, pointer string) map[string]any {
	return want[map[string]any](p, v, pointer, "an object")
}

func (p *parser) list(v any, pointer string) []any { return want[[]any](p, v, pointer, "a list") }

func (p *parser) text(of map[string]any, key, pointer string) string {
	return want[string](p, of[key], at(pointer, key), "a text")
}

func (p *parser) truth(of map[string]any, key, pointer string) bool {
	return want[bool](p, of[key], at(pointer, key), "true or false")
}

func (p *parser) number(of map[string]any, key, pointer string) float64 {
	f, _ := want[json.Number](p, of[key], at(pointer, key), "a number").Float64()
	return f
}

// each goes through an object in the order of its names.
func (p *parser) each(v any, pointer string, take func(name string, v any, pointer string)) {
	members := p.object(v, pointer)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		take(name, members[name], at(pointer, name))
	}
}

// described is each without extensions of the specification.
func (p *parser) described(v any, pointer string, take func(name string, v any, pointer string)) {
	p.each(v, pointer, func(name string, v any, pointer string) {
		if !strings.HasPrefix(name, "x-") {
			take(name, v, pointer)
		}
	})
}

func (p *parser) server(v any, pointer string) server {
	members := p.object(v, pointer)
	s := server{url: p.text(members, "url", pointer), variables: map[string]string{}}
	p.each(members["variables"], at(pointer, "variables"), func(name string, v any, pointer string) {
		s.variables[name] = p.text(p.object(v, pointer), "default", pointer)
	})
	return s
}

func (p *parser) security(v any, pointer string) (names []string) {
	for n, alternative := range p.list(v, pointer) {
		p.each(alternative, at(pointer, strconv.Itoa(n)), func(name string, _ any, _ string) { names = append(names, name) })
	}
	return names
}

func (p *parser) pathItem(members map[string]any, pointer string) *pathItem {
	item := &pathItem{parameters: p.parametersOf(members, pointer), operations: map[string]*operationObject{}}
	for _, method := range methods {
		key := strings.ToLower(method)
		if v := members[key]; v != nil {
			item.operations[method] = p.operation(p.object(v, at(pointer, key)), at(pointer, key))
		}
	}
	return item
}

func (p *parser) operation(members map[string]any, pointer string) *operationObject {
	o := &operationObject{
		id: p.text(members, "operationId", pointer), summary: p.text(members, "summary", pointer), description: p.text(members, "description", pointer),
		parameters: p.parametersOf(members, pointer), responses: map[string]*ref[responseObject]{},
		security: p.security(members["security"], at(pointer, "security")), secured: members["security"] != nil,
	}
	if v := members["requestBody"]; v != nil {
		o.requestBody = follow(p, p.bodies, v, at(pointer, "requestBody"), p.body)
	}
	p.described(members["responses"], at(pointer, "responses"), func(code string, v any, pointer string) {
		if r := follow(p, p.responses, v, pointer, p.response); r != nil {
			o.responses[code] = r
		}
	})
	return o
}

func (p *parser) parametersOf(members map[string]any, pointer string) (out []*ref[parameterObject]) {
	pointer = at(pointer, "parameters")
	for n, v := range p.list(members["parameters"], pointer) {
		out = append(out, follow(p, p.parameters, v, at(pointer, strconv.Itoa(n)), p.parameter))
	}
	return out
}

func (p *parser) parameter(members map[string]any, pointer string) *parameterObject {
	explode := members["explode"] == nil || p.truth(members, "explode", pointer)
	return &parameterObject{
		name: p.text(members, "name", pointer), in: p.text(members, "in", pointer), description: p.text(members, "description", pointer),
		style: p.text(members, "style", pointer), required: p.truth(members, "required", pointer), explode: explode,
		schema: p.schema(members["schema"], at(pointer, "schema")),
	}
}

func (p *parser) body(members map[string]any, pointer string) *bodyObject {
	return &bodyObject{p.text(members, "description", pointer), p.truth(members, "required", pointer), p.content(members, pointer)}
}

func (p *parser) response(members map[string]any, pointer string) *responseObject {
	return &responseObject{p.content(members, pointer)}
}

func (p *parser) content(members map[string]any, pointer string) content {
	out := content{}
	p.each(members["content"], at(pointer, "content"), func(kind string, v any, pointer string) {
		out[kind] = p.schema(p.object(v, pointer)["schema"], at(pointer, "schema"))
	})
	return out
}

// follow reads an object, or what a reference in its place leads to; nil when it leads
// nowhere.
func follow[T any](p *parser, known map[string]*T, v any, pointer string, read func(map[string]any, string) *T) *ref[T] {
	members := p.object(v, pointer)
	first, ok := members["$ref"].(string)
	if !ok {
		return &ref[T]{value: read(members, pointer)}
	}
	next := first
	for range maxReferences {
		target, v, found := p.find(next)
		if !found {
			p.nowhere(pointer)
			return nil
		}
		members := p.object(v, target)
		if further, ok := members["$ref"].(string); ok {
			next = further
			continue
		}
		if known[target] == nil {
			known[target] = read(members, target)
		}
		return &ref[T]{first, known[target]}
	}
	p.endless(pointer)
	return nil
}

// nowhere notes a reference at pointer that leads to nothing.
func (p *parser) nowhere(pointer string) {
	p.wrong(at(pointer, "$ref"), "the reference leads to nothing")
}

// endless notes a reference at pointer that leads from one to the next.
func (p *parser) endless(pointer string) {
	p.wrong(at(pointer, "$ref"), "the reference leads to itself, or over more than "+strconv.Itoa(maxReferences)+" others")
}

// find is what a reference within the document leads to, with its pointer.
func (p *parser) find(reference string) (pointer string, v any, found bool) {
	v = p.tree
	for _, step := range strings.Split(strings.TrimPrefix(reference, "#/"), "/") {
		if plain, err := url.PathUnescape(step); err == nil {
			step = plain
		}
		step = unescaped.Replace(step)
		switch in := v.(type) {
		case map[string]any:
			v, found = in[step]
		case []any:
			n, err := strconv.Atoi(step)
			if found = err == nil && n >= 0 && n < len(in); found {
				v = in[n]
			}
		default:
			found = false
		}
		if !found {
			return "", nil, false
		}
		pointer = at(pointer, step)
	}
	return pointer, v, true
}
