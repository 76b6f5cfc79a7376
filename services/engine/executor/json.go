package executor

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// appendJSON appends a decoded value as JSON; strings keep < > & as they are.
func appendJSON(out []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(out, "null"...), nil
	case json.Number:
		return append(out, v...), nil
	case bool:
		if v {
			return append(out, "true"...), nil
		}
		return append(out, "false"...), nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return out, fmt.Errorf("encode json: %w", err)
	}
	return append(out, bytes.TrimSuffix(buf.Bytes(), []byte{'\n'})...), nil
}

// appendKey appends a response key; GraphQL names need no escaping.
func appendKey(out []byte, i int, key string) []byte {
	if i > 0 {
		out = append(out, ',')
	}
	out = append(out, '"')
	out = append(out, key...)
	return append(out, '"', ':')
}
