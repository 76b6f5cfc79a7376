package metadata

import (
	"slices"

	"tenantry/api/errcode"
)

// CreateEventTriggerArgs are the arguments of CreateEventTrigger.
type CreateEventTriggerArgs struct {
	Source string    `json:"source,omitempty"`
	Table  TableName `json:"table"`
	Name   string    `json:"name"`
	EventOperations
	EventDelivery
	Replace bool `json:"replace,omitempty"`
}

// CreateEventTrigger adds an event trigger to a table; one that exists in the
// source is replaced if args say so.
func CreateEventTrigger(doc *Document, args CreateEventTriggerArgs) (*Document, error) {
	trigger := EventTrigger{args.Name, args.EventOperations, args.EventDelivery}
	if err := problemsOf(func(c *decoder) { c.eventTrigger(&trigger, "$", "$") }); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Source)
		if err != nil {
			return err
		}
		t, err := d.table(args.Source, args.Table)
		if err != nil {
			return err
		}
		switch existed := s.dropEventTrigger(args.Name); {
		case existed && !args.Replace:
			return fail(errcode.AlreadyExists, "event trigger with name %q already exists", args.Name)
		case !existed && args.Replace:
			return fail(errcode.NotExists, "event trigger with name %q does not exist", args.Name)
		}
		t.EventTriggers = append(t.EventTriggers, trigger)
		return nil
	})
}

// TriggerArgs name an event trigger of a source.
type TriggerArgs struct {
	Source string `json:"source,omitempty"`
	Name   string `json:"name"`
}

// DeleteEventTrigger removes an event trigger.
func DeleteEventTrigger(doc *Document, args TriggerArgs) (*Document, error) {
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Source)
		if err != nil {
			return err
		}
		if !s.dropEventTrigger(args.Name) {
			return fail(errcode.NotExists, "event trigger with name %q does not exist", args.Name)
		}
		return nil
	})
}

// dropEventTrigger reports whether there was one.
func (s *Source) dropEventTrigger(name string) bool {
	for i := range s.Tables {
		list := &s.Tables[i].EventTriggers
		if at := slices.IndexFunc(*list, func(t EventTrigger) bool { return t.Name == name }); at >= 0 {
			*list = slices.Delete(*list, at, at+1)
			return true
		}
	}
	return false
}

// CreateCronTriggerArgs are the arguments of CreateCronTrigger.
type CreateCronTriggerArgs struct {
	CronTrigger
	Replace bool `json:"replace,omitempty"`
}

// CreateCronTrigger adds a cron trigger, or replaces one if args say so.
func CreateCronTrigger(doc *Document, args CreateCronTriggerArgs) (*Document, error) {
	if err := notEmpty(args.Name, "name"); err != nil {
		return nil, err
	}
	if err := problemsOf(func(c *decoder) { c.cronTrigger(&args.CronTrigger, "$") }); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		at := d.cronTrigger(args.Name)
		switch {
		case at < 0:
			d.CronTriggers = append(d.CronTriggers, args.CronTrigger)
		case !args.Replace:
			return fail(errcode.AlreadyExists, "cron trigger with name: %s already exists", args.Name)
		default:
			d.CronTriggers[at] = args.CronTrigger
		}
		return nil
	})
}

// DeleteCronTrigger removes a cron trigger.
func DeleteCronTrigger(doc *Document, name string) (*Document, error) {
	return edit(doc, func(d *Document) error {
		at := d.cronTrigger(name)
		if at < 0 {
			return fail(errcode.NotExists, "cron trigger with name: %s does not exist", name)
		}
		d.CronTriggers = slices.Delete(d.CronTriggers, at, at+1)
		return nil
	})
}

func (d *Document) cronTrigger(name string) int {
	return slices.IndexFunc(d.CronTriggers, func(t CronTrigger) bool { return t.Name == name })
}

// Exported is what of a document is exported: not the cron triggers that say so.
func Exported(doc *Document) *Document {
	c := *doc
	c.CronTriggers = slices.DeleteFunc(slices.Clone(doc.CronTriggers), func(t CronTrigger) bool { return !t.IncludeInMetadata })
	return &c
}

// WithUnexported adds to a document, which replaces another, what an export of
// the other left out.
func WithUnexported(doc, replaced *Document) *Document {
	c := *doc
	c.CronTriggers = slices.Clone(doc.CronTriggers)
	for _, t := range replaced.CronTriggers {
		if !t.IncludeInMetadata && c.cronTrigger(t.Name) < 0 {
			c.CronTriggers = append(c.CronTriggers, t)
		}
	}
	return &c
}
