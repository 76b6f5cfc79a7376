package limits

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Plan is what the operator grants to each tenant of a plan, beside the limits
// that tenants set themselves; 0 is no bound. All projects of a tenant count
// together, and nobody is exempt.
type Plan struct {
	Requests   int // operations per second, as many at once
	Concurrent int // operations that run at a time, on each node
	Actions    int // calls of actions per minute, as many at once
	Sockets    int // open WebSockets, on each node
	Calls      int // calls of action handlers that run at a time, on each node
	Timeout    int // seconds that a call of a handler may take at most
	Egress     int // KiB per minute that calls of the tenant's URLs send and receive, as many at once
	// ProjectEgress is Egress of each project by itself, beside that of all together.
	ProjectEgress int
	Connections   int // connections to each database of a project, on each node
}

// bounds are the bounds of a plan by their names.
func (p *Plan) bounds() map[string]*int {
	return map[string]*int{
		"requests": &p.Requests, "concurrent": &p.Concurrent, "actions": &p.Actions, "sockets": &p.Sockets, "calls": &p.Calls,
		"timeout": &p.Timeout, "egress": &p.Egress, "project-egress": &p.ProjectEgress, "connections": &p.Connections,
	}
}

// Bounds is the plan by the names of its bounds, without those that are 0.
func (p Plan) Bounds() map[string]int {
	out := map[string]int{}
	for name, bound := range p.bounds() {
		if *bound != 0 {
			out[name] = *bound
		}
	}
	return out
}

// With is the plan with some bounds in the place of its own; 0 takes one away.
// Names that are none are passed over.
func (p Plan) With(bounds map[string]int) Plan {
	for name, bound := range p.bounds() {
		if n, ok := bounds[name]; ok {
			*bound = n
		}
	}
	return p
}

// CheckBounds says what is wrong with bounds by their names.
func CheckBounds(bounds map[string]int) map[string]string {
	known, wrong := (&Plan{}).bounds(), map[string]string{}
	for name, n := range bounds {
		switch {
		case known[name] == nil:
			wrong[name] = "there is no such bound; expected one of " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")
		case n < 0 || n > maxQuota:
			wrong[name] = fmt.Sprintf("expected a number from 0, which is no bound, to %d", maxQuota)
		}
	}
	return wrong
}

// ReadPlan reads a text such as "free requests=10 concurrent=4"; the error
// completes "expected …".
func ReadPlan(text string) (name string, p Plan, err error) {
	fields := strings.Fields(text)
	if len(fields) < 2 {
		return "", p, fmt.Errorf("expected a plan such as free requests=10 concurrent=4 actions=60 sockets=20 calls=50 timeout=60 egress=10240, got %q", text)
	}
	bounds := p.bounds()
	for _, field := range fields[1:] {
		key, value, _ := strings.Cut(field, "=")
		bound := bounds[key]
		if bound == nil {
			return "", p, fmt.Errorf("expected one of %s in the plan %s, got %q", strings.Join(slices.Sorted(maps.Keys(bounds)), ", "), fields[0], field)
		}
		if *bound, err = strconv.Atoi(value); err != nil || *bound < 1 || *bound > maxQuota {
			return "", p, fmt.Errorf("expected a number from 1 to %d in the plan %s, got %q", maxQuota, fields[0], field)
		}
	}
	return fields[0], p, nil
}

// maxQuota keeps the pace of a bucket above a microsecond.
const maxQuota = 1_000_000
