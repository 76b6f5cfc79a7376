package control

import (
	"fmt"
	"slices"
	"strings"

	"tenantry/services/engine/openapi"
	"tenantry/tenants/metadata"
)

// importPlaces says of which operations of an imported document the parts of a
// project's metadata were made.
func importPlaces(doc *metadata.Document, definitions []openapi.Definition) (places []origin) {
	byAction, byType := map[string]string{}, map[string]string{}
	for _, d := range slices.Backward(definitions) { // of a type, the first operation that has it
		at := "/document" + d.Pointer
		byAction[d.Action.Name] = at
		for _, t := range d.Types.Enums {
			byType[t.Name] = at
		}
		for _, t := range d.Types.InputObjects {
			byType[t.Name] = at
		}
		for _, t := range d.Types.Objects {
			byType[t.Name] = at
		}
	}
	add := func(by map[string]string, name, list string, n int) {
		if at := by[name]; at != "" {
			places = append(places, origin{fmt.Sprintf("%s/%d", list, n), at})
		}
	}
	for n, a := range doc.Actions {
		add(byAction, a.Name, "/actions", n)
	}
	if doc.CustomTypes == nil {
		return places
	}
	for n, t := range doc.CustomTypes.Enums {
		add(byType, t.Name, "/custom_types/enums", n)
	}
	for n, t := range doc.CustomTypes.InputObjects {
		add(byType, t.Name, "/custom_types/input_objects", n)
	}
	for n, t := range doc.CustomTypes.Objects {
		add(byType, t.Name, "/custom_types/objects", n)
	}
	return places
}

// inDocument makes places in the metadata into places in the imported document. What
// was not made of it keeps its place.
func inDocument(err error, places []origin) error {
	if !ofDocument(err) {
		return err
	}
	p := problemOf(err)
	for i := range p.Errors {
		for _, from := range places {
			if strings.HasPrefix(p.Errors[i].Pointer+"/", from.path+"/") {
				p.Errors[i].Pointer = from.pointer
				break
			}
		}
	}
	return p
}
