package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// read parses a document: plain JSON whose size is known, without references out of it.
func read(text string) (*document, error) {
	if len(text) > MaxDocument {
		return nil, refused("", "the document has %d bytes, at most %d are allowed", len(text), MaxDocument)
	}
	tree, err := decode(text)
	if err != nil {
		return nil, err
	}
	members, ok := tree.(map[string]any)
	if !ok {
		return nil, refused("", "expected an OpenAPI document: an object with the key openapi")
	}
	version, _ := members["openapi"].(string)
	if !strings.HasPrefix(version, "3.0.") && !strings.HasPrefix(version, "3.1.") {
		return nil, refused("/openapi", "expected the version 3.0.x or 3.1.x")
	}
	w := walk{}
	w.value(tree, "", 0)
	if len(w.notes) > 0 {
		return nil, &Error{Notes: w.notes}
	}
	doc := parse(members, &w)
	if len(w.notes) > 0 {
		return nil, &Error{Notes: w.notes}
	}
	return doc, nil
}

// short keeps the beginning of a text of others.
func short(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 300 {
		return strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}

// decode reads JSON or YAML.
func decode(text string) (any, error) {
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		if tree, err := decodeJSON(text); err == nil {
			return tree, nil
		}
	}
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		return nil, refused("", "neither JSON nor YAML: %s", short(err.Error()))
	}
	c := converter{}
	return c.value(&root, "", 0)
}

func decodeJSON(text string) (tree any, err error) {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text after the JSON document")
	}
	return tree, nil
}

// converter makes plain values of YAML. Aliases are followed, each time at the cost
// of what they stand for.
type converter struct{ nodes int }

func (c *converter) value(n *yaml.Node, pointer string, level int) (any, error) {
	if c.nodes++; c.nodes > MaxNodes {
		return nil, refused(pointer, "the document has more than %d values", MaxNodes)
	}
	if level > MaxLevels {
		return nil, refused(pointer, "the document is nested deeper than %d levels", MaxLevels)
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return c.value(n.Content[0], pointer, level)
	case yaml.AliasNode:
		return c.value(n.Alias, pointer, level+1)
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, element := range n.Content {
			v, err := c.value(element, at(pointer, strconv.Itoa(i)), level+1)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	case yaml.MappingNode:
		return c.mapping(n, pointer, level)
	}
	return plain(n), nil
}

func (c *converter) mapping(n *yaml.Node, pointer string, level int) (any, error) {
	out := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			return nil, refused(pointer, "line %d: expected a plain key", key.Line)
		}
		if _, twice := out[key.Value]; twice {
			return nil, refused(at(pointer, key.Value), "line %d: the key is there twice", key.Line)
		}
		v, err := c.value(value, at(pointer, key.Value), level+1)
		if err != nil {
			return nil, err
		}
		out[key.Value] = v
	}
	return out, nil
}

// plain is a value as JSON has it: dates and what JSON can't say stay text.
func plain(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if n.Decode(&b) == nil {
			return b
		}
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value)
		}
		var i int64
		if n.Decode(&i) == nil { // 0x10, 1_000
			return json.Number(strconv.FormatInt(i, 10))
		}
	}
	return n.Value
}

// walk looks at all values of a document: how many there are, how deep they are,
// and where their references lead.
type walk struct {
	nodes int
	notes []Note
}

// maxNotes bounds what is said of a document that is refused.
const maxNotes = 20

func (w *walk) wrong(pointer, message string) {
	if len(w.notes) < maxNotes {
		w.notes = append(w.notes, Note{pointer, message})
	}
}

func (w *walk) value(v any, pointer string, level int) {
	if w.nodes++; w.nodes > MaxNodes || level > MaxLevels {
		if w.nodes == MaxNodes+1 {
			w.wrong(pointer, "the document has more than "+strconv.Itoa(MaxNodes)+" values")
		} else if level > MaxLevels {
			w.wrong(pointer, "the document is nested deeper than "+strconv.Itoa(MaxLevels)+" levels")
		}
		return
	}
	switch v := v.(type) {
	case []any:
		for i, element := range v {
			w.value(element, at(pointer, strconv.Itoa(i)), level+1)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if ref, ok := v[key].(string); ok && key == "$ref" && !strings.HasPrefix(ref, "#/") {
				w.wrong(at(pointer, key), "references out of the document are not followed: write the schema into its components")
				continue
			}
			w.value(v[key], at(pointer, key), level+1)
		}
	}
}
