package openapi

import (
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"tenantry/tenants/metadata"
)

// answer maps what the operation answers: the first success with JSON, and how
// errors tell what is wrong.
func (r *request) answer() bool {
	if r.Responses == nil {
		r.unmapped(r.operation, at(r.pointer, "responses"), "no answer is described")
		return false
	}
	var codes []string
	for code := range r.Responses.Map() {
		if strings.HasPrefix(code, "2") {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	if len(codes) == 0 {
		codes = []string{"default"}
	}
	for _, code := range codes {
		response := r.Responses.Value(code)
		if response == nil || response.Value == nil {
			continue
		}
		pointer := at(r.pointer, "responses", code)
		if response.Ref != "" {
			pointer = strings.TrimPrefix(response.Ref, "#")
		}
		kind := jsonType(response.Value.Content)
		if kind == "" {
			continue
		}
		m := r.types.of(place{response.Value.Content[kind].Schema, at(pointer, "content", kind, "schema"), r.id + "_output"}, false)
		r.definition.OutputType = m.required(true)
		for _, other := range codes {
			if other != code {
				r.types.note(at(r.pointer, "responses", other), "an action has one type of answer: that of %s", code)
			}
		}
		r.definition.ResponseTransform = r.refusals()
		return true
	}
	r.unmapped(r.operation, at(r.pointer, "responses"), "no success answers JSON, which an action's handler has to")
	return false
}

// refusals says how the API's errors become those of a handler, {message,
// extensions}; what is not an error stays.
func (r *request) refusals() *metadata.ResponseTransform {
	message := strings.Join(append(r.messages(), `"the service refused the request"`), " ?? ")
	return &metadata.ResponseTransform{Version: 2, TemplateEngine: "Kriti", Body: &metadata.TransformBody{
		Action: metadata.BodyTransform,
		Template: fmt.Sprintf(`{{ if $response.status < 400 }}{{ $body }}{{ else }}{"message": {{ %s }}, "extensions": {"code": "service-error", "status": {{ $response.status }}}}{{ end }}`,
			message),
	}}
}

// messages are the places where APIs put what people are to read, in order.
var messages = [][]string{{"message"}, {"error", "message"}, {"error_description"}, {"detail"}, {"title"}, {"error"}}

// messages are the paths of those that the schema of errors has.
func (r *request) messages() (paths []string) {
	var codes []string
	for code := range r.Responses.Map() {
		if strings.HasPrefix(code, "4") {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	for _, code := range append(codes, "default") {
		response := r.Responses.Value(code)
		if response == nil || response.Value == nil {
			continue
		}
		kind := jsonType(response.Value.Content)
		if kind == "" {
			continue
		}
		for _, steps := range messages {
			if r.isText(response.Value.Content[kind].Schema, steps) {
				paths = append(paths, "$body?."+strings.Join(steps, "?."))
			}
		}
		if len(paths) > 0 {
			break
		}
	}
	return paths
}

// isText reports whether a path leads to a text.
func (r *request) isText(schema *openapi3.SchemaRef, steps []string) bool {
	p := r.types.resolve(place{schema, "", ""})
	if p.SchemaRef == nil || p.Value == nil {
		return false
	}
	if len(steps) == 0 {
		kinds, _ := kindsOf(p.Value)
		return slices.Equal(kinds, []string{"string"})
	}
	members := map[string]member{}
	if !r.types.compose(p, members, nil) {
		return false
	}
	m, ok := members[steps[0]]
	return ok && m.SchemaRef != nil && r.isText(m.SchemaRef, steps[1:])
}
