package metadata

import (
	"encoding/json"
	"reflect"
	"slices"
)

// RemoteRelationship leads from a table to another source.
type RemoteRelationship struct {
	Name       string           `json:"name"`
	Definition RemoteDefinition `json:"definition"`
}

// RemoteDefinition says where a remote relationship leads. Exactly one of the two
// is set.
type RemoteDefinition struct {
	ToSource *ToSource
	// Kept is a definition that leads to a remote schema, as it was given.
	Kept json.RawMessage
}

// ToSource leads to a table of a source, which may be the table's own.
type ToSource struct {
	Source string    `json:"source"`
	Table  TableName `json:"table"`
	// RelationshipType is object or array.
	RelationshipType string `json:"relationship_type"`
	// FieldMapping is from the table's columns to those of the target.
	FieldMapping map[string]string `json:"field_mapping"`
}

// toSourceForm is the JSON of a definition that leads to a source.
type toSourceForm struct {
	ToSource ToSource `json:"to_source"`
}

// MarshalJSON writes the form that holds.
func (r RemoteDefinition) MarshalJSON() ([]byte, error) {
	if r.ToSource != nil {
		return json.Marshal(toSourceForm{*r.ToSource})
	}
	return r.Kept, nil
}

// UnmarshalJSON reads {to_source}, {to_remote_schema}, or the old form of the
// latter, which has its members at the top.
func (r *RemoteDefinition) UnmarshalJSON(data []byte) error { return unmarshal(r, data) }

func (r *RemoteDefinition) decode(d *decoder, n node, path string) {
	*r = RemoteDefinition{}
	if !d.expect(n, '{', path, "an object") {
		return
	}
	switch {
	case slices.Contains(n.keys, "to_source"):
		var form toSourceForm
		before := len(d.problems)
		d.object(n, reflect.ValueOf(&form).Elem(), path)
		if to := &form.ToSource; len(d.problems) == before && to.RelationshipType != "object" && to.RelationshipType != "array" {
			d.fail(path+".to_source.relationship_type", "expected object or array, but got %q", to.RelationshipType)
		}
		r.ToSource = &form.ToSource
	case slices.Contains(n.keys, "to_remote_schema") || slices.Contains(n.keys, "remote_schema"):
		d.raw(n, reflect.ValueOf(&r.Kept).Elem(), path)
	default:
		d.fail(path, "expected to_source or to_remote_schema")
	}
}
