package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"tenantry/services/revision"
	"tenantry/tenants/metadata"
)

// validated finds what is wrong with a part of an edited document without the
// database, such as repeated names. at is the part's path in the document.
func validated(doc *metadata.Document, at string) error {
	text, err := json.Marshal(doc) // in its own order, so that places stay what they are
	if err != nil {
		return err
	}
	_, err = metadata.Decode(text)
	return relocated(err, at)
}

// placeOf is a tracked table's path in the document that it is part of.
func placeOf(doc *metadata.Document, t *metadata.Table) string {
	for i := range doc.Sources {
		for j := range doc.Sources[i].Tables {
			if &doc.Sources[i].Tables[j] == t {
				return fmt.Sprintf("$.sources[%d].tables[%d]", i, j)
			}
		}
	}
	return "$"
}

// ofDocument reports that an error tells places in a document.
func ofDocument(err error) bool {
	var decode *metadata.DecodeError
	var inconsistent *revision.Inconsistent
	return errors.As(err, &decode) || errors.As(err, &inconsistent)
}

// relocated makes places in a document into places in a body that holds the
// part at the path at. What lies outside is a mistake of the body as a whole.
func relocated(err error, at string) error {
	if !ofDocument(err) {
		return err
	}
	p := problemOf(err)
	for i := range p.Errors {
		inside, ok := strings.CutPrefix(p.Errors[i].Pointer, pointerOf(at))
		if !ok {
			inside = ""
		}
		p.Errors[i].Pointer = inside
	}
	return p
}
