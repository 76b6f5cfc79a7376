// Package rowjson writes plain rows, in Postgres's text format, as JSON objects:
// for lists of wide rows that costs Postgres a third of building the JSON itself.
// services/engine/dialect says which form each column has, services/engine/source
// appends the rows as they come.
package rowjson

import "bytes"

// Column is how a column becomes a member of an object.
type Column struct {
	// Key is the member's name with its colon, as JSON.
	Key  []byte
	Form Form
}

// Form is how Postgres's text of a value becomes JSON. The result is what
// row_to_json makes of the same value.
type Form uint8

// The forms.
const (
	Verbatim  Form = iota // JSON already
	Number                // a number; a string if it is none, such as NaN
	Boolean               // t or f
	Text                  // a string
	Timestamp             // a date and time: a T between them
	Instant               // a Timestamp with the offset from UTC: its minutes too
)

// AppendRow appends a row as an object; nil is SQL NULL. There is a column for
// every value.
func AppendRow(out []byte, columns []Column, values [][]byte) []byte {
	out = append(out, '{')
	for i, value := range values {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, columns[i].Key...)
		out = columns[i].Form.append(out, value)
	}
	return append(out, '}')
}

func (f Form) append(out, value []byte) []byte {
	if value == nil {
		return append(out, "null"...)
	}
	switch f {
	case Verbatim:
		return append(out, value...)
	case Number:
		if isNumber(value) {
			return append(out, value...)
		}
	case Boolean:
		if value[0] == 't' {
			return append(out, "true"...)
		}
		return append(out, "false"...)
	case Timestamp, Instant:
		return appendTimestamp(out, value, f == Instant)
	}
	return appendString(out, value)
}

// isNumber tells Postgres's numbers from NaN and the infinities.
func isNumber(value []byte) bool {
	i := 0
	if len(value) > 1 && value[0] == '-' {
		i = 1
	}
	return len(value) > i && value[i] >= '0' && value[i] <= '9'
}

// appendTimestamp spells Postgres's ISO form as XML Schema does, which is what
// Postgres itself does in JSON: "T" for the space, and always minutes in the
// offset. The infinities stay words, and " BC" stays behind.
func appendTimestamp(out, value []byte, offset bool) []byte {
	space := bytes.IndexByte(value, ' ')
	if space < 0 || value[0] < '0' || value[0] > '9' {
		return appendString(out, value)
	}
	out = append(out, '"')
	out = append(append(out, value[:space]...), 'T')
	clock, era := value[space+1:], []byte(nil)
	if end := bytes.IndexByte(clock, ' '); end >= 0 {
		clock, era = clock[:end], clock[end:]
	}
	out = append(out, clock...)
	if sign := bytes.LastIndexAny(clock, "+-"); offset && sign >= 0 && len(clock)-sign == len("+00") {
		out = append(out, ":00"...)
	}
	return append(append(out, era...), '"')
}

const hexDigits = "0123456789abcdef"

// escapes has what stands for a byte in a JSON string, as Postgres escapes it.
var escapes = func() (table [256]string) {
	for c := range 0x20 {
		table[c] = `\u00` + string(hexDigits[c>>4]) + string(hexDigits[c&15])
	}
	table['"'], table['\\'] = `\"`, `\\`
	table['\b'], table['\f'], table['\n'], table['\r'], table['\t'] = `\b`, `\f`, `\n`, `\r`, `\t`
	return table
}()

// appendString quotes text, which Postgres promises to be UTF-8.
func appendString(out, text []byte) []byte {
	out = append(out, '"')
	from := 0
	for i, c := range text {
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		out = append(append(out, text[from:i]...), escapes[c]...)
		from = i + 1
	}
	return append(append(out, text[from:]...), '"')
}
