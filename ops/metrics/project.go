package metrics

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The values of the label outcome of requests.
const (
	OutcomeOK      = "ok"
	OutcomeInvalid = "invalid" // the request was at fault
	OutcomeDenied  = "denied"  // not allowed: credentials, policy, allow-list, limits
	OutcomeError   = "error"   // the server, the database or a handler was at fault
)

var (
	// buckets are those of the dialect (.01 to 10), and smaller ones: a warm query
	// takes less than a millisecond.
	buckets       = []float64{.001, .003, .01, .03, .1, .3, 1, 3, 10}
	sqlBuckets    = []float64{.0003, .001, .003, .01, .03, .1, .3, 1, 3, 10}
	actionBuckets = []float64{.003, .01, .03, .1, .3, 1, 3, 10, 30}
)

// Project holds the handles of one project's metrics. Its methods are cheap
// enough for the path of a request and safe for concurrent use. A nil *Project
// counts nothing.
type Project struct {
	own   *series
	other *series // also counts, for a project without a label value of its own
	named bool
	pool  atomic.Pointer[func() Pool]
}

// each calls f for every series that counts for the project.
func (p *Project) each(f func(*series)) {
	if p == nil {
		return
	}
	f(p.own)
	if p.other != nil {
		f(p.other)
	}
}

// Request counts a GraphQL operation. operationType is query, mutation,
// subscription or anything else for unknown; outcome is one of the Outcome
// constants.
func (p *Project) Request(operationType, role, outcome string, took time.Duration) {
	kind := typeIndex(operationType)
	p.each(func(s *series) {
		s.execution[kind].Observe(took.Seconds())
		s.requests.of(requestLabels{operationTypes[kind], s.role(role), outcome}).Inc()
	})
}

// ActionStarted counts a call of an action's handler as running until the
// returned function is called with its result ("ok", "timeout", … the names of
// engine/action, never anything from outside).
func (p *Project) ActionStarted() (done func(result string)) {
	start := time.Now()
	p.each(func(s *series) { s.actionsInflight.Inc() })
	return func(result string) {
		took := time.Since(start).Seconds()
		p.each(func(s *series) {
			s.actionsInflight.Dec()
			s.actionSeconds.Observe(took)
			s.actions.of(result).Inc()
		})
	}
}

// PolicyDecision counts an answer of the project's policy at a point
// ("root_field", "action", …).
func (p *Project) PolicyDecision(point string, allowed bool) {
	decision := "denied"
	if allowed {
		decision = "allowed"
	}
	p.each(func(s *series) { s.policy.of(policyLabels{point, decision}).Inc() })
}

// AllowlistRefused counts an operation that is not in the allow-list.
func (p *Project) AllowlistRefused() { p.each(func(s *series) { s.allowlist.Inc() }) }

// RateLimitRefused counts a request over the rate limit.
func (p *Project) RateLimitRefused() { p.each(func(s *series) { s.rateLimit.Inc() }) }

// SQL counts a statement sent to the project's database.
func (p *Project) SQL(took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	p.each(func(s *series) {
		s.sqlSeconds.Observe(took.Seconds())
		s.sql.of(result).Inc()
	})
}

// ReadPool makes the counts of the project's connection pool part of its
// metrics; they are read at each scrape. Projects on the same database share a
// pool and show the same numbers.
func (p *Project) ReadPool(f func() Pool) {
	if p != nil {
		p.pool.Store(&f)
	}
}

func (p *Project) readPool() (Pool, bool) {
	f := p.pool.Load()
	if f == nil {
		return Pool{}, false
	}
	return (*f)(), true
}

// Describe is that of a prometheus.Collector.
func (p *Project) Describe(out chan<- *prometheus.Desc) {
	p.own.Describe(out)
	poolCollector(p.readPool).Describe(out)
}

// Collect is that of a prometheus.Collector.
func (p *Project) Collect(out chan<- prometheus.Metric) {
	p.own.Collect(out)
	poolCollector(p.readPool).Collect(out)
}

var operationTypes = [...]string{"query", "mutation", "subscription", "unknown"}

func typeIndex(operationType string) int {
	for i, name := range operationTypes {
		if name == operationType {
			return i
		}
	}
	return len(operationTypes) - 1
}

type requestLabels struct{ operationType, role, outcome string }

type policyLabels struct{ point, decision string }

// series are the metrics of one value of the label project, which they do not
// carry themselves.
type series struct {
	executionVec *prometheus.HistogramVec
	execution    [len(operationTypes)]prometheus.Observer

	requests        *counters[requestLabels]
	actions         *counters[string]
	actionSeconds   prometheus.Histogram
	actionsInflight prometheus.Gauge
	policy          *counters[policyLabels]
	allowlist       prometheus.Counter
	rateLimit       prometheus.Counter
	sql             *counters[string]
	sqlSeconds      prometheus.Histogram

	maxRoles int
	rolesMu  sync.RWMutex
	roles    map[string]bool
}

func newSeries(maxRoles int) *series {
	s := &series{maxRoles: maxRoles, roles: map[string]bool{}}
	s.executionVec = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "tenantry_graphql_execution_seconds", Help: "Time to answer a GraphQL operation.", Buckets: buckets,
	}, []string{"operation_type"})
	for i, name := range operationTypes {
		s.execution[i] = s.executionVec.WithLabelValues(name)
	}
	s.requests = newCounters("tenantry_graphql_requests_total", "GraphQL operations, by type, role and outcome.",
		[]string{"operation_type", "role", "outcome"}, func(l requestLabels) []string { return []string{l.operationType, l.role, l.outcome} })
	one := func(label string) []string { return []string{label} }
	s.actions = newCounters("tenantry_action_invocations_total", "Calls of action handlers, by result.", []string{"result"}, one)
	s.actionSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tenantry_action_seconds", Help: "Time that a call of an action's handler took, retries included.", Buckets: actionBuckets,
	})
	s.actionsInflight = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tenantry_action_inflight", Help: "Calls of action handlers that are running.",
	})
	s.policy = newCounters("tenantry_policy_decisions_total", "Decisions of the project's policy, by point and decision.",
		[]string{"point", "decision"}, func(l policyLabels) []string { return []string{l.point, l.decision} })
	s.allowlist = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tenantry_allowlist_refusals_total", Help: "Operations refused because they are not in the allow-list.",
	})
	s.rateLimit = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tenantry_rate_limit_refusals_total", Help: "Requests refused because of the rate limit.",
	})
	s.sql = newCounters("tenantry_sql_statements_total", "Statements sent to the project's database, by result.", []string{"result"}, one)
	s.sqlSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tenantry_sql_seconds", Help: "Time that a statement took, as seen from here.", Buckets: sqlBuckets,
	})
	return s
}

func (s *series) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		s.executionVec, s.requests.vec, s.actions.vec, s.actionSeconds, s.actionsInflight,
		s.policy.vec, s.allowlist, s.rateLimit, s.sql.vec, s.sqlSeconds,
	}
}

// Describe is that of a prometheus.Collector.
func (s *series) Describe(out chan<- *prometheus.Desc) {
	for _, c := range s.collectors() {
		c.Describe(out)
	}
}

// Collect is that of a prometheus.Collector.
func (s *series) Collect(out chan<- prometheus.Metric) {
	for _, c := range s.collectors() {
		c.Collect(out)
	}
}

// role returns the label value of a role: itself for the first ones seen, since
// tokens may carry any number of them.
func (s *series) role(name string) string {
	s.rolesMu.RLock()
	known, full := s.roles[name], len(s.roles) >= s.maxRoles
	s.rolesMu.RUnlock()
	if known {
		return name
	}
	if full {
		return Other
	}
	s.rolesMu.Lock()
	defer s.rolesMu.Unlock()
	if !s.roles[name] && len(s.roles) >= s.maxRoles {
		return Other
	}
	s.roles[name] = true
	return name
}

// counters are the children of a counter vector by their labels, found without
// the vector's own lookup.
type counters[K comparable] struct {
	vec    *prometheus.CounterVec
	values func(K) []string
	known  sync.Map // K → prometheus.Counter
}

func newCounters[K comparable](name, help string, labels []string, values func(K) []string) *counters[K] {
	return &counters[K]{vec: prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels), values: values}
}

func (c *counters[K]) of(k K) prometheus.Counter {
	if known, ok := c.known.Load(k); ok {
		return known.(prometheus.Counter)
	}
	made := c.vec.WithLabelValues(c.values(k)...)
	c.known.Store(k, made)
	return made
}
