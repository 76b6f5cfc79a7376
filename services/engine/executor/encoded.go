package executor

import (
	"strings"

	"tenantry/api/errcode"
	"tenantry/policy/filter"
	"tenantry/services/engine/plan"
)

// encoded is a value in a cursor or the id of a node, which the client was given
// and sends back; nil is NULL.
func (v *values) encoded(p *filter.Param) (*string, error) {
	invalid := errcode.New(errcode.ValidationFailed, `the "after" or "before" cursor is invalid`).At(p.Name)
	text, err := v.value(&p.Items[0])
	if err != nil {
		return nil, err
	}
	if text == nil {
		return nil, invalid
	}
	var decoded any
	if err := plan.DecodeOpaque(*text, &decoded); err != nil {
		return nil, invalid.Because(err)
	}
	value, ok := lookup(decoded, p.Path)
	if !ok {
		return nil, invalid
	}
	if value == nil {
		return nil, nil
	}
	out, err := plan.Text(value, p.Type)
	if err != nil || strings.IndexByte(out, 0) >= 0 {
		return nil, invalid
	}
	return &out, nil
}
