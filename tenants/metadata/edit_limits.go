package metadata

// SetAPILimits replaces the limits.
func SetAPILimits(doc *Document, limits APILimits) (*Document, error) {
	if err := problemsOf(func(c *decoder) { c.limits(&limits, "$") }); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		d.APILimits = &limits
		return nil
	})
}

// RemoveAPILimits removes all limits.
func RemoveAPILimits(doc *Document) *Document {
	c := doc.Clone()
	c.APILimits = nil
	return c
}
