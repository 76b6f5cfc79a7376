package openapi

import "strconv"

func (p *parser) schemasOf(v any, pointer string) map[string]*schemaRef {
	if v == nil {
		return nil
	}
	out := map[string]*schemaRef{}
	p.each(v, pointer, func(name string, v any, pointer string) {
		if s := p.schema(v, pointer); s != nil {
			out[name] = s
		}
	})
	return out
}

func (p *parser) schemaList(of map[string]any, key, pointer string) (out []*schemaRef) {
	pointer = at(pointer, key)
	for n, v := range p.list(of[key], pointer) {
		if s := p.schema(v, at(pointer, strconv.Itoa(n))); s != nil {
			out = append(out, s)
		}
	}
	return out
}

func (p *parser) texts(of map[string]any, key, pointer string) (out []string) {
	pointer = at(pointer, key)
	for n, v := range p.list(of[key], pointer) {
		out = append(out, want[string](p, v, at(pointer, strconv.Itoa(n)), "a text"))
	}
	return out
}

// schema reads a schema; nil where there is none.
func (p *parser) schema(v any, pointer string) *schemaRef {
	if v == nil {
		return nil
	}
	if known := p.schemas[pointer]; known != nil {
		return known
	}
	s := &schemaRef{}
	p.schemas[pointer] = s
	if _, all := v.(bool); all {
		s.value = &schema{always: true}
		return s
	}
	members := p.object(v, pointer)
	if reference, ok := members["$ref"].(string); ok {
		s.ref = reference
		p.pending = append(p.pending, pending{s, pointer})
		return s
	}
	s.value = &schema{
		nullable: p.truth(members, "nullable", pointer), readOnly: p.truth(members, "readOnly", pointer), writeOnly: p.truth(members, "writeOnly", pointer),
		format: p.text(members, "format", pointer), description: p.text(members, "description", pointer),
		least: p.number(members, "minimum", pointer), most: p.number(members, "maximum", pointer),
		enum: p.list(members["enum"], at(pointer, "enum")), constant: members["const"],
		oneOf: p.schemaList(members, "oneOf", pointer), anyOf: p.schemaList(members, "anyOf", pointer), allOf: p.schemaList(members, "allOf", pointer),
		properties: p.schemasOf(members["properties"], at(pointer, "properties")), required: p.texts(members, "required", pointer),
		items: p.schema(members["items"], at(pointer, "items")), places: len(p.list(members["prefixItems"], at(pointer, "prefixItems"))),
	}
	if one, ok := members["type"].(string); ok {
		s.value.kinds = []string{one}
	} else {
		s.value.kinds = p.texts(members, "type", pointer)
	}
	return s
}

// link gives references to schemas what they lead to. Only what nobody else has read
// is read for them: in a document each schema is there once.
func (p *parser) link() {
	for n := 0; n < len(p.pending); n++ { // more may come
		one := p.pending[n]
		target, v, found := p.find(one.ref)
		if !found {
			p.nowhere(one.pointer)
			continue
		}
		if one.to = p.schemas[target]; one.to == nil {
			one.to = p.schema(v, target)
		}
	}
	for _, one := range p.pending {
		end := one.to
		for n := 0; end != nil && end.value == nil; n++ {
			if n == maxReferences {
				p.endless(one.pointer)
				break
			}
			end = end.to
		}
		if end != nil {
			one.value = end.value
		}
	}
}
