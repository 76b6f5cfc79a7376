package graphqlhttp

import (
	"bytes"
	"encoding/json"

	"tenantry/api/errcode"
)

type errorDocument struct {
	Errors []errorEntry `json:"errors"`
}

type errorEntry struct {
	Message    string         `json:"message"`
	Extensions map[string]any `json:"extensions"`
}

// ErrorBody is the body of a refusal: {"errors":[…]} without data. The internal
// detail is for admins and dev mode only (contracts §1.9).
func ErrorBody(e *errcode.Error, internal bool) []byte {
	extensions := e.Extensions
	if extensions == nil {
		path := e.Path
		if path == "" {
			path = "$"
		}
		extensions = map[string]any{"path": path, "code": string(e.Code)}
	}
	if internal && e.Internal != nil {
		shown := make(map[string]any, len(extensions)+1)
		for k, v := range extensions {
			shown[k] = v
		}
		shown["internal"] = e.Internal
		extensions = shown
	}
	return encode(errorDocument{[]errorEntry{{e.Message, extensions}}})
}

// encode writes JSON with < > & as they are; the value always encodes, or a
// detail that doesn't is left out.
func encode(doc errorDocument) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		out.Reset()
		for i := range doc.Errors {
			doc.Errors[i].Extensions = map[string]any{"path": "$", "code": string(errcode.Unexpected)}
		}
		_ = enc.Encode(doc) // strings only: can't fail
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{'\n'})
}

// A success begins and ends so, around the members of its data.
const (
	DataBegin = `{"data":{`
	DataEnd   = `}}`
)

// Data is the object data of a success.
func Data(body []byte) []byte { return body[len(`{"data":`) : len(body)-1] }
