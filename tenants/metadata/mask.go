package metadata

import "encoding/json"

// Mask is what a role sees instead of a column's value; in JSON null, "null",
// "hash" or "partial".
type Mask string

// The masks.
const (
	MaskNull    Mask = "null"
	MaskHash    Mask = "hash"
	MaskPartial Mask = "partial"
)

// UnmarshalJSON reads null or a mask's name.
func (m *Mask) UnmarshalJSON(data []byte) error { return unmarshal(m, data) }

// MarshalJSON writes null or a mask's name.
func (m Mask) MarshalJSON() ([]byte, error) {
	if m == MaskNull {
		return []byte("null"), nil
	}
	return json.Marshal(string(m))
}

func (m *Mask) decode(d *decoder, n node, path string) {
	if n.isNull() {
		*m = MaskNull
		return
	}
	if !d.expect(n, '"', path, "null or a string") {
		return
	}
	switch *m = Mask(unquote(n.raw)); *m {
	case MaskNull, MaskHash, MaskPartial:
	default:
		d.fail(path, "expected one of null, hash, partial")
	}
}
