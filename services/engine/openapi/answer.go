package openapi

import (
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"

	"tenantry/tenants/metadata"
)

// The forms of successes, best first.
type success int

const (
	withJSON  success = iota
	withText          // the answer is a String
	empty             // the answer is true
	withBytes         // nothing that an action could answer
)

// successOf is the form of a response, with the content type that has it.
func successOf(r *responseObject) (success, string) {
	if kind := jsonType(r.content); kind != "" {
		return withJSON, kind
	}
	if kind := textType(r.content); kind != "" {
		return withText, kind
	}
	if len(r.content) == 0 {
		return empty, ""
	}
	return withBytes, slices.Sorted(maps.Keys(r.content))[0]
}

// textType is the first content type that is text; empty when none is.
func textType(content content) string {
	for _, kind := range slices.Sorted(maps.Keys(content)) {
		name, _, _ := mime.ParseMediaType(kind)
		if strings.HasPrefix(name, "text/") || name == "application/xml" || strings.HasSuffix(name, "+xml") {
			return kind
		}
	}
	return ""
}

// answer maps what the operation answers: the first success with JSON, else the
// first with text, else one without content; and how errors tell what is wrong.
func (r *request) answer() bool {
	codes := r.codes("2")
	if len(codes) == 0 {
		codes = []string{"default"}
	}
	best, form, kind := "", withBytes, ""
	nothing := false // some success has no content
	var unfit []string
	for _, code := range codes {
		response := r.responses[code]
		if response == nil {
			continue
		}
		f, k := successOf(response.value)
		nothing = nothing || f == empty
		if f == withBytes {
			unfit = append(unfit, k)
		} else if best == "" || f < form {
			best, form, kind = code, f, k
		}
	}
	if best == "" {
		r.unmapped(r.operation, at(r.pointer, "responses"), unanswerable(unfit))
		return false
	}
	pointer := at(r.pointer, "responses", best)
	if ref := r.responses[best].ref; ref != "" {
		pointer = strings.TrimPrefix(ref, "#")
	}
	switch form {
	case withText:
		r.definition.OutputType = "String!"
		r.types.note(at(pointer, "content", kind), "the answer is %s, as it is: String", kind)
	case empty:
		r.definition.OutputType = "Boolean!"
		r.types.note(pointer, "the answer has no content: true when it is a success")
	default:
		m := r.types.of(place{r.responses[best].value.content[kind], at(pointer, "content", kind, "schema"), r.id + "_output"}, false)
		r.definition.OutputType = m.required(!nothing)
	}
	for _, other := range codes {
		response := r.responses[other]
		if other == best || response == nil {
			continue
		}
		if f, _ := successOf(response.value); f == empty && form == withJSON {
			r.types.note(at(r.pointer, "responses", other), "an answer without content is null")
			continue
		}
		r.types.note(at(r.pointer, "responses", other), "an action has one type of answer: that of %s", best)
	}
	r.definition.ResponseTransform = r.rewritten(form)
	return true
}

// unanswerable says why no success can be the answer of an action.
func unanswerable(kinds []string) string {
	if len(kinds) == 0 {
		return "no success is described"
	}
	return "a success is " + short(strings.Join(slices.Compact(kinds), ", ")) + ", expected JSON, text, or no content"
}

// codes are the statuses of responses that begin with a digit, in order.
func (r *request) codes(digit string) (codes []string) {
	for code := range r.responses {
		if strings.HasPrefix(code, digit) {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	return codes
}

// rewritten says what becomes of an answer: of a success its JSON, its text, or
// true; of an error that of a handler, {message, extensions}.
func (r *request) rewritten(form success) *metadata.ResponseTransform {
	value, failure := "$body", r.messages()
	switch form {
	case withText:
		value = "$response.text"
	case empty:
		value = "$response.text != null" // read, so that whatever the body is does not matter
	}
	message := strings.Join(append(failure, `"the service refused the request"`), " ?? ")
	return &metadata.ResponseTransform{Version: 2, TemplateEngine: "Kriti", Body: &metadata.TransformBody{
		Action: metadata.BodyTransform,
		Template: fmt.Sprintf(`{{ if $response.status < 400 }}{{ %s }}{{ else }}{"message": {{ %s }}, "extensions": {"code": "service-error", "status": {{ $response.status }}}}{{ end }}`,
			value, message),
	}}
}

// messages are the places where APIs put what people are to read, in order.
var messages = [][]string{{"message"}, {"error", "message"}, {"error_description"}, {"detail"}, {"title"}, {"error"}}

// messages are the paths of those that the schema of errors has.
func (r *request) messages() (paths []string) {
	for _, code := range append(r.codes("4"), "default") {
		response := r.responses[code]
		if response == nil {
			continue
		}
		kind := jsonType(response.value.content)
		if kind == "" {
			if textType(response.value.content) != "" {
				return []string{"$response.text"}
			}
			continue
		}
		for _, steps := range messages {
			if r.isText(response.value.content[kind], steps) {
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
func (r *request) isText(schema *schemaRef, steps []string) bool {
	p := r.types.resolve(place{schema, "", ""})
	if p.schemaRef == nil || p.value == nil {
		return false
	}
	if len(steps) == 0 {
		kinds, _ := kindsOf(p.value)
		return slices.Equal(kinds, []string{"string"})
	}
	members := map[string]member{}
	if !r.types.compose(p, members, nil) {
		return false
	}
	m, ok := members[steps[0]]
	return ok && m.schemaRef != nil && r.isText(m.schemaRef, steps[1:])
}
