package control

import (
	"bytes"
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"
)

// jsonObject is a body that is read by its own strict decoder, such as a
// metadata document. In the OpenAPI document it is an object.
type jsonObject []byte

// Schema of the object in the OpenAPI document.
func (jsonObject) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
}

// MarshalJSON gives the JSON itself.
func (o jsonObject) MarshalJSON() ([]byte, error) {
	if len(o) == 0 {
		return []byte("{}"), nil
	}
	return o, nil
}

// UnmarshalJSON keeps a copy.
func (o *jsonObject) UnmarshalJSON(data []byte) error {
	*o = bytes.Clone(data)
	return nil
}

// asObject encodes a value of ours.
func asObject(v any) (jsonObject, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// objectOutput answers an object with the version that it has.
type objectOutput struct {
	ETag string `header:"ETag"`
	Body jsonObject
}
