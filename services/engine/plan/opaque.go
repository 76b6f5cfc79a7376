package plan

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// DecodeOpaque decodes what was given out as base64 of JSON: cursors and ids of
// nodes. Numbers become json.Number.
func DecodeOpaque(text string, into *any) error {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		if raw, err = base64.RawStdEncoding.DecodeString(text); err != nil {
			return err
		}
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	return d.Decode(into)
}
