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

// RecordRequest counts a GraphQL operation. operationType is query, mutation,
// subscription or anything else for unknown; outcome is one of the Outcome
// constants.
func (p *Project) RecordRequest(operationType, role, outcome string, took time.Duration) {
	kind := typeIndex(operationType)
	p.each(func(s *series) {
		s.execution[kind].Observe(took.Seconds())
		s.requests.of(requestLabels{operationTypes[kind], s.roles.label(role), outcome}).Inc()
	})
}

// ActionStarted counts a call of an action's handler as running until the
// returned function is called.
func (p *Project) ActionStarted() (done func()) {
	p.each(func(s *series) { s.actionsInflight.Inc() })
	return func() { p.each(func(s *series) { s.actionsInflight.Dec() }) }
}

// RecordAction counts a finished call of an action's handler. result is a word
// of ours ("ok", "error", "denied"), never anything from outside.
func (p *Project) RecordAction(result string, took time.Duration) {
	p.each(func(s *series) {
		s.actionSeconds.Observe(took.Seconds())
		s.actions.of(result).Inc()
	})
}

// RecordActionRefusal counts a call of an action that was not made; reason is a word
// of ours ("circuit-open", "overloaded", "recursion-limit").
func (p *Project) RecordActionRefusal(reason string) {
	p.each(func(s *series) { s.actionRefusals.of(reason).Inc() })
}

// RecordActionRetries counts calls that were made again because the handler failed.
func (p *Project) RecordActionRetries(n int) {
	p.each(func(s *series) { s.actionRetries.Add(float64(n)) })
}

// RecordCircuit counts that the handlers of an origin are not called for a while, or
// are called again.
func (p *Project) RecordCircuit(opened bool) {
	p.each(func(s *series) {
		if !opened {
			s.circuitsOpen.Dec()
			return
		}
		s.circuitsOpen.Inc()
		s.circuitsOpened.Inc()
	})
}

// RecordReplay counts a mutation that was answered as before, by its idempotency key.
func (p *Project) RecordReplay() {
	p.each(func(s *series) { s.replays.Inc() })
}

// RecordPolicyDecision counts an answer of the project's policy at a point
// ("root_field", "action", …).
func (p *Project) RecordPolicyDecision(point string, allowed bool) {
	decision := "denied"
	if allowed {
		decision = "allowed"
	}
	p.each(func(s *series) { s.policy.of(policyLabels{point, decision}).Inc() })
}

// RecordShadowDisagreement counts a decision that the policy on trial would have
// made otherwise; decision says how: allowed, denied or differs.
func (p *Project) RecordShadowDisagreement(point, decision string) {
	p.each(func(s *series) { s.shadow.of(policyLabels{point, decision}).Inc() })
}

// RecordValidation counts an operation that was parsed and validated: one that
// was not kept ready.
func (p *Project) RecordValidation() {
	p.each(func(s *series) { s.validations.Inc() })
}

// RecordPlan counts an operation that was planned and its SQL written.
func (p *Project) RecordPlan() {
	p.each(func(s *series) { s.plans.Inc() })
}

// RecordPolicyEvaluation counts a run of Rego for a request.
func (p *Project) RecordPolicyEvaluation() {
	p.each(func(s *series) { s.evaluations.Inc() })
}

// RecordStuckPolicy counts an evaluation of Rego that did not stop, after which the
// policy denies until its modules change.
func (p *Project) RecordStuckPolicy() {
	p.each(func(s *series) { s.stuck.Inc() })
}

// RecordAllowlistRefusal counts an operation that is not in the allow-list.
func (p *Project) RecordAllowlistRefusal(role string) {
	p.each(func(s *series) { s.allowlist.of(s.roles.label(role)).Inc() })
}

// RecordRateLimitRefusal counts a request over the rate limit.
func (p *Project) RecordRateLimitRefusal(role string) {
	p.each(func(s *series) { s.rateLimit.of(s.roles.label(role)).Inc() })
}

// RecordAuthFailure counts a request that was not authenticated. what is a word of
// ours: the kind of credential, or why none counted.
func (p *Project) RecordAuthFailure(what string) {
	p.each(func(s *series) { s.authFailures.of(what).Inc() })
}

// RecordQuotaRefusal counts an operation that the tenant's plan does not allow.
func (p *Project) RecordQuotaRefusal() {
	p.each(func(s *series) { s.quota.Inc() })
}

// RecordEgress counts the bytes of headers and bodies that a call of one of the
// project's URLs sent and received.
func (p *Project) RecordEgress(sent, received int64) {
	p.each(func(s *series) {
		s.egress.of("sent").Add(float64(sent))
		s.egress.of("received").Add(float64(received))
	})
}

// RecordLimitViolation counts an operation beyond one of the tenant's limits, by
// the code of the error ("depth-limit-exceeded"); refused is false when the limits
// are on trial.
func (p *Project) RecordLimitViolation(code, role string, refused bool) {
	mode := "audit"
	if refused {
		mode = "enforce"
	}
	p.each(func(s *series) { s.limits.of(limitLabels{code, s.roles.label(role), mode}).Inc() })
}

// RecordStatement counts a statement sent to one of the project's databases.
func (p *Project) RecordStatement(source string, ok bool) {
	result := "ok"
	if !ok {
		result = "error"
	}
	p.each(func(s *series) { s.sql.of(sqlLabels{s.sources.label(source), result}).Inc() })
}

// ObserveStatement notes how long a statement took, as seen from here.
func (p *Project) ObserveStatement(took time.Duration) {
	p.each(func(s *series) { s.sqlSeconds.Observe(took.Seconds()) })
}

// SocketOpened counts a WebSocket as open until the returned function is called.
func (p *Project) SocketOpened() (closed func()) {
	p.each(func(s *series) { s.sockets.Inc() })
	return func() { p.each(func(s *series) { s.sockets.Dec() }) }
}

// SocketReceived counts a WebSocket message of a client.
func (p *Project) SocketReceived(bytes int) { p.socketMessage("received", bytes) }

// SocketSent counts a WebSocket message to a client.
func (p *Project) SocketSent(bytes int) { p.socketMessage("sent", bytes) }

func (p *Project) socketMessage(direction string, bytes int) {
	p.each(func(s *series) {
		s.socketMessages.of(direction).Inc()
		s.socketBytes.of(direction).Add(float64(bytes))
	})
}

// SubscriptionOpened counts a subscription as active until the returned function is
// called.
func (p *Project) SubscriptionOpened() (closed func()) {
	p.each(func(s *series) { s.subscriptions.Inc() })
	return func() { p.each(func(s *series) { s.subscriptions.Dec() }) }
}

// SubscriptionRead counts that the answer of a subscription was read again: whether
// it was another, and then pushed, and whether it told of an error.
func (p *Project) SubscriptionRead(changed, failed bool) {
	result := "unchanged"
	if changed {
		result = "changed"
	}
	if failed {
		result = "failed"
	}
	p.each(func(s *series) { s.subscriptionReads.of(result).Inc() })
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

type limitLabels struct{ code, role, mode string }

type sqlLabels struct{ source, result string }

// series are the metrics of one value of the label project, which they do not
// carry themselves.
type series struct {
	executionVec *prometheus.HistogramVec
	execution    [len(operationTypes)]prometheus.Observer

	requests          *counters[requestLabels]
	actions           *counters[string]
	actionSeconds     prometheus.Histogram
	actionsInflight   prometheus.Gauge
	actionRefusals    *counters[string]
	actionRetries     prometheus.Counter
	circuitsOpen      prometheus.Gauge
	circuitsOpened    prometheus.Counter
	replays           prometheus.Counter
	policy, shadow    *counters[policyLabels]
	evaluations       prometheus.Counter
	stuck             prometheus.Counter
	validations       prometheus.Counter
	plans             prometheus.Counter
	allowlist         *counters[string]
	rateLimit         *counters[string]
	authFailures      *counters[string]
	limits            *counters[limitLabels]
	quota             prometheus.Counter
	egress            *counters[string]
	sql               *counters[sqlLabels]
	sqlSeconds        prometheus.Histogram
	subscriptions     prometheus.Gauge
	subscriptionReads *counters[string]
	sockets           prometheus.Gauge
	socketMessages    *counters[string]
	socketBytes       *counters[string]

	roles, sources values
}

// maxSources is the number of values of the label source per project.
const maxSources = 20

func newSeries(maxRoles int) *series {
	s := &series{roles: values{limit: maxRoles}, sources: values{limit: maxSources}}
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
	s.actionRefusals = newCounters("tenantry_action_refusals_total", "Calls of action handlers that were not made: too many ran, or the handler failed too often.",
		[]string{"reason"}, one)
	s.actionRetries = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tenantry_action_retries_total", Help: "Calls of synchronous actions that were made again after a failure.",
	})
	s.circuitsOpen = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tenantry_action_circuits_open", Help: "Origins of action handlers that are not called now because they fail.",
	})
	s.circuitsOpened = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tenantry_action_circuit_opened_total", Help: "How often the handlers of an origin failed so much that they are not called for a while.",
	})
	s.replays = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tenantry_idempotent_replays_total", Help: "Mutations that were answered as before because of their Idempotency-Key.",
	})
	s.policy = newCounters("tenantry_policy_decisions_total", "Decisions of the project's policy, by point and decision.",
		[]string{"point", "decision"}, func(l policyLabels) []string { return []string{l.point, l.decision} })
	s.shadow = newCounters("tenantry_policy_shadow_disagreements_total", "Decisions that the policy on trial would have made otherwise, by point and its decision.",
		[]string{"point", "decision"}, func(l policyLabels) []string { return []string{l.point, l.decision} })
	s.evaluations = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tenantry_policy_evaluations_total", Help: "Runs of Rego for requests. High where decisions depend on arguments; queries of tables need next to none.",
	})
	s.stuck = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tenantry_policy_stuck_total", Help: "Runs of Rego that did not stop. The policy then denies until its modules change; each keeps a core busy until it ends.",
	})
	s.validations = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tenantry_operation_validations_total", Help: "Operations that were parsed and validated. Next to none once the traffic is warm.",
	})
	s.plans = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tenantry_sql_generations_total", Help: "Operations whose SQL was written. Next to none once the traffic is warm.",
	})
	s.allowlist = newCounters("tenantry_allowlist_refusals_total", "Operations refused because they are not in the allow-list.", []string{"role"}, one)
	s.rateLimit = newCounters("tenantry_rate_limit_refusals_total", "Requests refused because of the rate limit.", []string{"role"}, one)
	s.authFailures = newCounters("tenantry_auth_failures_total", "Requests that were not authenticated, by what failed.", []string{"credential"}, one)
	s.quota = prometheus.NewCounter(prometheus.CounterOpts{Name: "tenantry_quota_refusals_total", Help: "Operations that the tenant's plan does not allow."})
	s.egress = newCounters("tenantry_egress_bytes_total", "Bytes of headers and bodies of calls to the project's URLs, by direction.", []string{"direction"}, one)
	s.limits = newCounters("tenantry_limit_violations_total", "Operations beyond a limit of the tenant, by the error's code, role and mode of the limits.",
		[]string{"code", "role", "mode"}, func(l limitLabels) []string { return []string{l.code, l.role, l.mode} })
	s.sql = newCounters("tenantry_sql_statements_total", "Statements sent to the project's databases, by source and result.",
		[]string{"source", "result"}, func(l sqlLabels) []string { return []string{l.source, l.result} })
	s.sqlSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tenantry_sql_seconds", Help: "Time that a statement took, as seen from here.", Buckets: sqlBuckets,
	})
	s.sockets = prometheus.NewGauge(prometheus.GaugeOpts{Name: "tenantry_websocket_connections", Help: "Open WebSockets."})
	s.socketMessages = newCounters("tenantry_websocket_messages_total", "Messages over WebSockets, by direction.", []string{"direction"}, one)
	s.socketBytes = newCounters("tenantry_websocket_message_bytes_total", "Bytes of messages over WebSockets, by direction.", []string{"direction"}, one)
	s.subscriptions = prometheus.NewGauge(prometheus.GaugeOpts{Name: "tenantry_subscriptions", Help: "Active subscriptions."})
	s.subscriptionReads = newCounters("tenantry_subscription_reads_total", "Answers of subscriptions that were read again, by what came of it.", []string{"result"}, one)
	return s
}

func (s *series) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		s.executionVec, s.requests.vec, s.actions.vec, s.actionSeconds, s.actionsInflight, s.actionRefusals.vec, s.actionRetries, s.circuitsOpen, s.circuitsOpened, s.replays,
		s.policy.vec, s.shadow.vec, s.evaluations, s.stuck, s.validations, s.plans, s.allowlist.vec, s.rateLimit.vec, s.limits.vec, s.quota, s.egress.vec, s.authFailures.vec,
		s.sql.vec, s.sqlSeconds,
		s.sockets, s.socketMessages.vec, s.socketBytes.vec, s.subscriptions, s.subscriptionReads.vec,
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

// values caps the values of a label.
type values struct {
	limit int
	mu    sync.RWMutex
	known map[string]bool
}

// label returns the label value for a name: itself for the first ones seen,
// Other for the rest. Tokens, for example, may carry any number of roles.
func (v *values) label(name string) string {
	v.mu.RLock()
	known, full := v.known[name], len(v.known) >= v.limit
	v.mu.RUnlock()
	if known {
		return name
	}
	if full {
		return Other
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.known[name] && len(v.known) >= v.limit {
		return Other
	}
	if v.known == nil {
		v.known = map[string]bool{}
	}
	v.known[name] = true
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
