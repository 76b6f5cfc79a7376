package metadata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"tenantry/api/errcode"
)

// Problem is one mistake in a document.
type Problem struct {
	// Path leads to the mistake, as $.sources[0].tables[2].table.
	Path    string `json:"path"`
	Message string `json:"message"`
}

// DecodeError is all that is wrong with a document; never without problems. To
// clients it is an *errcode.Error with the code parse-failed.
type DecodeError struct{ Problems []Problem }

// Error lists all problems with their paths.
func (e *DecodeError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Path + ": " + p.Message
	}
	return strings.Join(lines, "; ")
}

// As lets errors.As find the public form: the path of the first problem, and all
// problems in the message when there are several.
func (e *DecodeError) As(target any) bool {
	public, ok := target.(**errcode.Error)
	if !ok {
		return false
	}
	message := e.Problems[0].Message
	if len(e.Problems) > 1 {
		message = e.Error()
	}
	*public = errcode.New(errcode.ParseFailed, "%s", message).At(e.Problems[0].Path).Because(e)
	return true
}

// DecodeInto reads JSON into the struct that into points to, as strictly as
// Decode: keys are those of the json tags, case and all; a field whose tag has
// no omitempty is required unless tagged required:"false"; null is the same as
// absent. The error is a *DecodeError with paths that begin at $.
func DecodeInto(data []byte, into any) error {
	n, err := scan(data)
	if err != nil {
		return notJSON(err)
	}
	d := &decoder{}
	d.value(n, reflect.ValueOf(into).Elem(), "$")
	return d.err()
}

func notJSON(err error) error {
	message := "not valid JSON: " + err.Error()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		message = fmt.Sprintf("not valid JSON at byte %d: %s", syntax.Offset, syntax.Error())
	}
	return &DecodeError{Problems: []Problem{{Path: "$", Message: message}}}
}

// decoder collects problems while it fills values.
type decoder struct{ problems []Problem }

func (d *decoder) fail(path, format string, args ...any) {
	d.problems = append(d.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (d *decoder) err() error {
	if len(d.problems) == 0 {
		return nil
	}
	return &DecodeError{Problems: d.problems}
}

// union is a type whose JSON has several forms.
type union interface {
	decode(d *decoder, n node, path string)
}

var rawType = reflect.TypeFor[json.RawMessage]()

func (d *decoder) value(n node, v reflect.Value, path string) {
	if u, ok := v.Addr().Interface().(union); ok {
		u.decode(d, n, path)
		return
	}
	if v.Type() == rawType {
		d.raw(n, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !n.isNull() {
			v.Set(reflect.New(v.Type().Elem()))
			d.value(n, v.Elem(), path)
		}
	case reflect.Struct:
		if d.expect(n, '{', path, "an object") {
			d.object(n, v, path)
		}
	case reflect.Slice:
		if d.expect(n, '[', path, "a list") {
			v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
			for i, item := range n.items {
				d.value(item, v.Index(i), path+"["+strconv.Itoa(i)+"]")
			}
		}
	case reflect.Map:
		if d.expect(n, '{', path, "an object") {
			d.mapping(n, v, path)
		}
	default:
		d.scalar(n, v, path)
	}
}

func (d *decoder) scalar(n node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.String:
		if d.expect(n, '"', path, "a string") {
			text := unquote(n.raw)
			d.noNUL(text, path)
			v.SetString(text)
		}
	case reflect.Bool:
		if n.kind() != 't' && n.kind() != 'f' {
			d.fail(path, "expected a boolean, but got %s", n.what())
			return
		}
		v.SetBool(n.kind() == 't')
	case reflect.Int, reflect.Int64:
		number, err := strconv.ParseInt(string(n.raw), 10, v.Type().Bits())
		if err != nil {
			d.fail(path, "expected an integer, but got %s", n.what())
			return
		}
		v.SetInt(number)
	default: // a mistake in a type of ours, not in the document
		panic("metadata: no strict form for " + v.Type().String())
	}
}

// raw keeps JSON that is read elsewhere.
func (d *decoder) raw(n node, v reflect.Value, path string) {
	if bytes.Contains(n.raw, []byte(`\u0000`)) {
		d.strings(n, path)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, n.raw); err != nil { // it was checked
		panic(err)
	}
	v.SetBytes(b.Bytes())
}

// strings checks all strings under n.
func (d *decoder) strings(n node, path string) {
	if n.kind() == '"' {
		d.noNUL(unquote(n.raw), path)
	}
	for i, item := range n.items {
		at := path + "[" + strconv.Itoa(i) + "]"
		if n.keys != nil {
			at = member(path, n.keys[i])
			d.noNUL(n.keys[i], at)
		}
		d.strings(item, at)
	}
}

// noNUL refuses the one character that Postgres can't store.
func (d *decoder) noNUL(text, path string) {
	if strings.Contains(text, "\x00") {
		d.fail(path, "must not contain the character NUL")
	}
}

func (d *decoder) expect(n node, kind byte, path, what string) bool {
	if n.kind() != kind {
		d.fail(path, "expected %s, but got %s", what, n.what())
		return false
	}
	return true
}

func (d *decoder) mapping(n node, v reflect.Value, path string) {
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.keys)))
	for i, key := range n.keys {
		at := member(path, key)
		d.noNUL(key, at)
		to := reflect.New(v.Type().Elem()).Elem()
		d.value(n.items[i], to, at)
		if v.MapIndex(reflect.ValueOf(key)).IsValid() {
			d.fail(at, "the key is given twice")
		}
		v.SetMapIndex(reflect.ValueOf(key), to)
	}
}

func (d *decoder) object(n node, v reflect.Value, path string) {
	fields := fieldsOf(v.Type())
	seen := make(map[string]bool, len(n.keys))
	for i, key := range n.keys {
		at := member(path, key)
		f, ok := fields[key]
		switch {
		case !ok:
			d.fail(at, "unknown key")
			continue
		case seen[key]:
			d.fail(at, "the key is given twice")
			continue
		}
		seen[key] = true
		if n.items[i].isNull() && !f.required {
			continue
		}
		d.value(n.items[i], v.FieldByIndex(f.index), at)
	}
	for _, f := range sortedFields(v.Type()) {
		if f.required && !seen[f.key] {
			d.fail(path, "the key %q is missing", f.key)
		}
	}
}

// member is the path of an object's member.
func member(path, key string) string {
	for i := 0; i < len(key); i++ {
		c := key[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9' || i == 0) {
			return path + "['" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(key) + "']"
		}
	}
	if key == "" {
		return path + "['']"
	}
	return path + "." + key
}
