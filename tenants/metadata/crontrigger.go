package metadata

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// CronTrigger calls a webhook by a schedule (contracts §7.2).
type CronTrigger struct {
	Name     string          `json:"name"`
	Webhook  string          `json:"webhook"`
	Schedule string          `json:"schedule"` // five fields, UTC
	Payload  json.RawMessage `json:"payload,omitempty"`
	Headers  []Header        `json:"headers,omitempty"`
	// RetryConf is nil for the default.
	RetryConf *CronRetry `json:"retry_conf,omitempty"`
	// IncludeInMetadata says whether the trigger is part of what is exported.
	IncludeInMetadata bool               `json:"include_in_metadata"`
	Comment           string             `json:"comment,omitempty"`
	RequestTransform  *RequestTransform  `json:"request_transform,omitempty"`
	ResponseTransform *ResponseTransform `json:"response_transform,omitempty"`
}

// CronRetry says how often and when a delivery is tried again, and how late it
// may be; what is nil has its default: 0 retries, 10, 60 and 21600 seconds.
type CronRetry struct {
	NumRetries *int `json:"num_retries,omitempty"`
	Interval   *int `json:"retry_interval_seconds,omitempty"`
	Timeout    *int `json:"timeout_seconds,omitempty"`
	Tolerance  *int `json:"tolerance_seconds,omitempty"`
}

// numbers are the fields with their defaults.
func (r *CronRetry) numbers() []cronNumber {
	return []cronNumber{
		{"num_retries", &r.NumRetries, 0}, {"retry_interval_seconds", &r.Interval, 10},
		{"timeout_seconds", &r.Timeout, 60}, {"tolerance_seconds", &r.Tolerance, 21600},
	}
}

type cronNumber struct {
	name  string
	value **int
	usual int
}

// Complete is the trigger with its defaults written out.
func (t CronTrigger) Complete() CronTrigger {
	retry := CronRetry{}
	if t.RetryConf != nil {
		retry = *t.RetryConf
	}
	for _, n := range retry.numbers() {
		if *n.value == nil {
			usual := n.usual
			*n.value = &usual
		}
	}
	t.RetryConf = &retry
	return t
}

// canonical clears defaults.
func (t *CronTrigger) canonical() {
	clearNull(&t.Payload)
	if len(t.Headers) == 0 {
		t.Headers = nil
	}
	if t.RetryConf == nil {
		return
	}
	for _, n := range t.RetryConf.numbers() {
		without(n.value, n.usual)
	}
	if *t.RetryConf == (CronRetry{}) {
		t.RetryConf = nil
	}
}

func (d *decoder) cronTriggers(list []CronTrigger, at string) {
	names := unique{c: d, all: "cron triggers"}
	for i := range list {
		path := fmt.Sprintf("%s[%d]", at, i)
		names.add(path+".name", list[i].Name)
		d.cronTrigger(&list[i], path)
	}
}

func (d *decoder) cronTrigger(t *CronTrigger, at string) {
	if t.Webhook == "" {
		d.fail(at+".webhook", "empty string not allowed")
	}
	d.schedule(t.Schedule, at+".schedule")
	d.headers(t.Headers, at+".headers")
	if t.RetryConf == nil {
		return
	}
	for _, n := range t.RetryConf.numbers() {
		d.counts(at+".retry_conf", map[string]*int{n.name: *n.value})
	}
}

// cronFields are the fields of a schedule with their bounds.
var cronFields = []struct {
	name     string
	from, to int
	names    []string // of the values, from the first on
}{
	{"minute", 0, 59, nil}, {"hour", 0, 23, nil}, {"day of the month", 1, 31, nil},
	{"month", 1, 12, strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")},
	{"day of the week", 0, 7, strings.Fields("sun mon tue wed thu fri sat")},
}

// schedule checks the five fields of a cron schedule.
func (d *decoder) schedule(text, at string) {
	given := strings.Fields(text)
	if len(given) != len(cronFields) {
		d.fail(at, "expected a cron schedule of five fields: minute, hour, day of the month, month, day of the week")
		return
	}
	for i, field := range cronFields {
		for part := range strings.SplitSeq(given[i], ",") {
			span, every, stepped := strings.Cut(part, "/")
			if n, err := strconv.Atoi(every); stepped && (err != nil || n < 1) {
				d.fail(at, "the %s %q of the schedule has no valid step", field.name, given[i])
			}
			if span == "*" {
				continue
			}
			first, last, ranged := strings.Cut(span, "-")
			low, ok := cronValue(first, field.from, field.to, field.names)
			high := low
			if ranged && ok {
				high, ok = cronValue(last, field.from, field.to, field.names)
			}
			if !ok || low > high {
				d.fail(at, "the %s %q of the schedule is not within %d and %d", field.name, given[i], field.from, field.to)
			}
		}
	}
}

func cronValue(text string, from, to int, names []string) (int, bool) {
	if i := slices.Index(names, strings.ToLower(text)); i >= 0 {
		return from + i, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= from && n <= to
}
