package control

import (
	"encoding/json"
	"errors"

	"github.com/danielgtaylor/huma/v2"

	"tenantry/tenants/metadata"
)

// ActionTransforms rewrite what a handler is sent and what came back. They are those
// of the metadata: what PUT is not given, an action does not have any more.
type ActionTransforms struct {
	RequestTransform  *transformText `json:"request_transform,omitempty"`
	ResponseTransform *transformText `json:"response_transform,omitempty"`
}

// transformText is a transform as the metadata writes it. It is read by the metadata's
// own rules, which tell all mistakes with their places.
type transformText struct{ json.RawMessage }

// Schema of a transform in the OpenAPI document.
func (transformText) Schema(huma.Registry) *huma.Schema {
	object := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true,
		Description: "As in the metadata: version, template_engine, body; of a request also method, url, query_params and request_headers, of a response error_when. Texts are templates."}
	object.PrecomputeMessages()
	return object
}

// UnmarshalJSON keeps the text.
func (t *transformText) UnmarshalJSON(data []byte) error { return t.RawMessage.UnmarshalJSON(data) }

func actionTransforms(d *metadata.ActionDefinition) (t ActionTransforms) {
	show := func(transform any) *transformText {
		text, err := json.Marshal(transform)
		if err != nil {
			return nil // never: it was made of JSON
		}
		return &transformText{text}
	}
	if d.RequestTransform != nil {
		t.RequestTransform = show(d.RequestTransform)
	}
	if d.ResponseTransform != nil {
		t.ResponseTransform = show(d.ResponseTransform)
	}
	return t
}

// putTransforms reads the transforms into a definition.
func (t ActionTransforms) putTransforms(d *metadata.ActionDefinition) (mistakes []Mistake) {
	return append(readTransform(t.RequestTransform, "/request_transform", &d.RequestTransform),
		readTransform(t.ResponseTransform, "/response_transform", &d.ResponseTransform)...)
}

// readTransform leaves out one that can't be read as a whole: what is wrong with half
// of it helps nobody.
func readTransform[T any](text *transformText, pointer string, into **T) (mistakes []Mistake) {
	if text == nil {
		return nil
	}
	err := metadata.DecodeInto(text.RawMessage, into)
	var wrongs *metadata.DecodeError
	if errors.As(err, &wrongs) {
		*into = nil
		for _, p := range wrongs.Problems {
			mistakes = append(mistakes, wrong(pointer+pointerOf(p.Path), "%s", p.Message))
		}
	}
	return mistakes
}
