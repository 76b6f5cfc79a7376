package metadata

import (
	"encoding/json"
	"fmt"
	"regexp"
)

// EventTrigger calls a webhook when rows of a table change (contracts §7.1).
type EventTrigger struct {
	Name       string          `json:"name"`
	Definition EventOperations `json:"definition"`
	EventDelivery
}

// EventOperations are the changes that a trigger listens to; one at least.
type EventOperations struct {
	EnableManual bool            `json:"enable_manual,omitempty"`
	Insert       *EventOperation `json:"insert,omitempty"`
	Update       *EventOperation `json:"update,omitempty"`
	Delete       *EventOperation `json:"delete,omitempty"`
}

// EventOperation is one kind of change: the columns that are listened to, and
// those that are sent (nil means all).
type EventOperation struct {
	Columns Columns  `json:"columns"`
	Payload *Columns `json:"payload,omitempty"`
}

// EventDelivery says how an event is delivered. Either Webhook or WebhookFromEnv
// is set.
type EventDelivery struct {
	Webhook              string             `json:"webhook,omitempty"`
	WebhookFromEnv       string             `json:"webhook_from_env,omitempty"`
	RetryConf            *EventRetry        `json:"retry_conf,omitempty"`
	Headers              []Header           `json:"headers,omitempty"`
	RequestTransform     *RequestTransform  `json:"request_transform,omitempty"`
	ResponseTransform    *ResponseTransform `json:"response_transform,omitempty"`
	CleanupConfig        *EventCleanup      `json:"cleanup_config,omitempty"`
	TriggerOnReplication bool               `json:"trigger_on_replication,omitempty"`
}

// EventRetry says how often and when a delivery is tried again; nil is the
// default: 0 retries, 10 and 60 seconds.
type EventRetry struct {
	NumRetries *int `json:"num_retries,omitempty"`
	Interval   *int `json:"interval_sec,omitempty"`
	Timeout    *int `json:"timeout_sec,omitempty"`
}

// EventCleanup says when the log of a trigger is cleaned.
type EventCleanup struct {
	Schedule            string `json:"schedule,omitempty"`
	ClearOlderThan      *int   `json:"clear_older_than,omitempty"` // hours
	BatchSize           *int   `json:"batch_size,omitempty"`
	Timeout             *int   `json:"timeout,omitempty"` // seconds
	CleanInvocationLogs bool   `json:"clean_invocation_logs,omitempty"`
	Paused              bool   `json:"paused,omitempty"`
}

// Listened are the kinds of changes that are listened to, by name, in the order
// insert, update, delete.
func (o EventOperations) Listened() []NamedEventOperation {
	var out []NamedEventOperation
	for _, op := range []NamedEventOperation{{"insert", o.Insert}, {"update", o.Update}, {"delete", o.Delete}} {
		if op.EventOperation != nil {
			out = append(out, op)
		}
	}
	return out
}

// NamedEventOperation is an operation with its name.
type NamedEventOperation struct {
	Name string
	*EventOperation
}

// lists are the lists of columns of an operation; those that say all are left
// out.
func (o *EventOperation) lists() []*Columns {
	var out []*Columns
	for _, c := range []*Columns{&o.Columns, o.Payload} {
		if c != nil && !c.All {
			out = append(out, c)
		}
	}
	return out
}

// ColumnNames are the columns that an operation names.
func (o *EventOperation) ColumnNames() []string {
	var out []string
	for _, c := range o.lists() {
		out = append(out, c.List...)
	}
	return out
}

// maxTriggerName leaves room for what a trigger's name becomes a part of.
const maxTriggerName = 42

var triggerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// eventTrigger checks what no database is needed for. at is the trigger, and
// operations the object that names its operations.
func (d *decoder) eventTrigger(t *EventTrigger, at, operations string) {
	switch {
	case !triggerName.MatchString(t.Name):
		d.fail(at, "only alphanumeric and underscore and hyphens allowed for name")
	case len(t.Name) > maxTriggerName:
		d.fail(at, "event trigger name can be at most %d characters", maxTriggerName)
	}
	listened := t.Definition.Listened()
	if len(listened) == 0 && !t.Definition.EnableManual {
		d.fail(operations, "atleast one amongst insert/update/delete/enable_manual spec must be provided")
	}
	for _, op := range listened {
		if !op.Columns.All && len(op.Columns.List) == 0 {
			d.fail(operations, "found empty column specification")
		}
	}
	d.webhook(t.Webhook, t.WebhookFromEnv, at)
	d.headers(t.Headers, at+".headers")
	if r := t.RetryConf; r != nil {
		d.counts(at+".retry_conf", map[string]*int{"num_retries": r.NumRetries, "interval_sec": r.Interval, "timeout_sec": r.Timeout})
	}
	if c := t.CleanupConfig; c != nil {
		d.counts(at+".cleanup_config", map[string]*int{"clear_older_than": c.ClearOlderThan, "batch_size": c.BatchSize, "timeout": c.Timeout})
		if c.Schedule != "" {
			d.schedule(c.Schedule, at+".cleanup_config.schedule")
		}
	}
}

func (d *decoder) webhook(text, variable, at string) {
	switch {
	case text != "" && variable != "":
		d.fail(at, "only one of webhook or webhook_from_env should be given")
	case text == "" && variable == "":
		d.fail(at, "must provide webhook or webhook_from_env")
	}
}

// counts refuses numbers below 0.
func (d *decoder) counts(at string, numbers map[string]*int) {
	for name, n := range numbers {
		if n != nil && *n < 0 {
			d.fail(at+"."+name, "expected a number not below 0")
		}
	}
}

func (d *decoder) eventTriggers(list []EventTrigger, names *unique, at string) {
	for i := range list {
		path := fmt.Sprintf("%s[%d]", at, i)
		names.add(path+".name", list[i].Name)
		d.eventTrigger(&list[i], path, path+".definition")
	}
}

// canonical clears defaults.
func (t *EventTrigger) canonical() {
	if r := t.RetryConf; r != nil {
		without(&r.NumRetries, 0)
		without(&r.Interval, 10)
		without(&r.Timeout, 60)
		if *r == (EventRetry{}) {
			t.RetryConf = nil
		}
	}
	if len(t.Headers) == 0 {
		t.Headers = nil
	}
	if c := t.CleanupConfig; c != nil {
		without(&c.BatchSize, 10000)
		without(&c.Timeout, 60)
	}
}

// without clears a number that is the default.
func without(n **int, usual int) {
	if *n != nil && **n == usual {
		*n = nil
	}
}

// clearNull clears JSON that says nothing.
func clearNull(text *json.RawMessage) {
	if string(*text) == "null" {
		*text = nil
	}
}
