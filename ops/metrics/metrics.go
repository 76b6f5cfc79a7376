// Package metrics counts what the programs do, in Prometheus' terms. The stages
// of a request hold a *Project and call its methods; the operator's listener
// writes everything with the label project, the control API writes one project's
// series alone, without that label, for its tenant's own Prometheus.
package metrics

import (
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"

	"tenantry/ops/audit"
)

// ContentType is that of WriteAll and WriteProject.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Other stands for what is beyond a cap: projects without a label value of
// their own, roles of a project that has too many.
const Other = "_other"

// Options of Metrics; the zero Options are good.
type Options struct {
	MaxProjects int    // values of the label project, without Other; default 1000
	MaxRoles    int    // values of the label role per project, without Other; default 50
	Version     string // of the program, for tenantry_build_info
}

// Metrics are all metrics of one program. Safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	opt      Options

	mu       sync.RWMutex
	projects map[string]*Project
	named    int     // projects with a label value of their own
	other    *series // sums of those without

	control        *prometheus.CounterVec
	controlSeconds *prometheus.HistogramVec
	runs           *runs
	auditStats     atomic.Pointer[func() audit.Stats]
	controlPool    atomic.Pointer[func() Pool]
}

// New registers all metrics with a registry, which should hold nothing else;
// those of the Go runtime and the process are among them.
func New(registry *prometheus.Registry, o Options) *Metrics {
	if o.MaxProjects <= 0 {
		o.MaxProjects = 1000
	}
	if o.MaxRoles <= 0 {
		o.MaxRoles = 50
	}
	m := &Metrics{registry: registry, opt: o, projects: map[string]*Project{}, other: newSeries(o.MaxRoles)}
	m.control = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tenantry_control_requests_total", Help: "Requests to the control API, by operation and HTTP status.",
	}, []string{"operation", "status"})
	m.controlSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "tenantry_control_request_seconds", Help: "Time to answer a request to the control API.", Buckets: buckets,
	}, []string{"operation"})
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tenantry_build_info", Help: "1, with the program's version.", ConstLabels: prometheus.Labels{"version": o.Version},
	})
	build.Set(1)
	registry.MustRegister(m.control, m.controlSeconds, build, perProject{m},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.runs = newRuns(registry)
	m.registerProgram()
	return m
}

// registerProgram registers what is read from elsewhere at each scrape.
func (m *Metrics) registerProgram() {
	stats := func() (s audit.Stats) {
		if f := m.auditStats.Load(); f != nil {
			s = (*f)()
		}
		return s
	}
	pool := func() (p Pool) {
		if f := m.controlPool.Load(); f != nil {
			p = (*f)()
		}
		return p
	}
	counter := func(name, help string, read func() float64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read))
	}
	gauge := func(name, help string, labels prometheus.Labels, read func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, read))
	}
	counter("tenantry_audit_events_total", "Audit events kept by the recorder.", func() float64 { return float64(stats().Written) })
	counter("tenantry_audit_events_lost_total", "Audit events that could not be kept.", func() float64 { return float64(stats().Lost) })
	gauge("tenantry_audit_events_waiting", "Audit events waiting to be written.", nil, func() float64 { return float64(stats().Queued) })
	gauge("tenantry_projects_live", "Projects that this node holds in memory.", nil, func() float64 {
		m.mu.RLock()
		defer m.mu.RUnlock()
		return float64(len(m.projects))
	})
	const help = "Connections to the control plane's database, by state."
	gauge("tenantry_control_pool_connections", help, prometheus.Labels{"state": "in_use"}, func() float64 { return float64(pool().InUse) })
	gauge("tenantry_control_pool_connections", help, prometheus.Labels{"state": "idle"}, func() float64 { return float64(pool().Idle) })
	gauge("tenantry_control_pool_connections_limit", "Connections to the control plane's database at most.", nil,
		func() float64 { return float64(pool().Max) })
	counter("tenantry_control_pool_waits_total", "How often a connection to the control plane's database was waited for.",
		func() float64 { return float64(pool().Waits) })
}

// ReadAudit makes the recorder's counts part of the metrics:
// m.ReadAudit(recorder.Stats).
func (m *Metrics) ReadAudit(f func() audit.Stats) { m.auditStats.Store(&f) }

// ReadControlPool makes the counts of the store's pool part of the metrics.
func (m *Metrics) ReadControlPool(f func() Pool) { m.controlPool.Store(&f) }

// ReadSharedLimits shows how the store does in which nodes count rate limits
// together; read tells how many requests this node counted alone, and whether the
// store answered last. Call it once, and only where there is such a store.
func (m *Metrics) ReadSharedLimits(read func() (fallbacks uint64, up bool)) {
	m.registry.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "tenantry_shared_limits_fallbacks_total", Help: "Requests that this node counted alone because the store of rate limits was out of reach.",
		}, func() float64 { n, _ := read(); return float64(n) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tenantry_shared_limits_up", Help: "1 while the store of rate limits answers.",
		}, func() float64 {
			if _, up := read(); up {
				return 1
			}
			return 0
		}))
}

// ControlRequest counts an answer of the control API. operation is the id in the
// OpenAPI document, never a path as the client sent it.
func (m *Metrics) ControlRequest(operation string, status int, took time.Duration) {
	m.control.WithLabelValues(operation, strconv.Itoa(status)).Inc()
	m.controlSeconds.WithLabelValues(operation).Observe(took.Seconds())
}

// ForProject returns the handles of a project, the same ones for the same slug
// until it is forgotten. Hold them; don't ask once per request.
func (m *Metrics) ForProject(slug string) *Project {
	m.mu.RLock()
	p := m.projects[slug]
	m.mu.RUnlock()
	if p != nil {
		return p
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.projects[slug]; p != nil {
		return p
	}
	p = &Project{own: newSeries(m.opt.MaxRoles)}
	if m.named < m.opt.MaxProjects {
		m.named++
		p.named = true
	} else {
		p.other = m.other
	}
	m.projects[slug] = p
	return p
}

// Forget drops a project's series and frees its label value: when the project
// is gone, or no longer held by this node.
func (m *Metrics) Forget(slug string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.projects[slug]; p != nil {
		delete(m.projects, slug)
		if p.named {
			m.named--
		}
	}
}

// Handler answers the operator's scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// WriteAll writes everything, for the operator.
func (m *Metrics) WriteAll(w io.Writer) error { return write(w, m.registry) }

// WriteProject writes one project's series without the label project; nothing
// when this node does not know the project. It costs no more than the project's
// own series, however many projects there are.
func (m *Metrics) WriteProject(w io.Writer, slug string) error {
	m.mu.RLock()
	p := m.projects[slug]
	m.mu.RUnlock()
	if p == nil {
		return nil
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(p)
	return write(w, registry)
}

func write(w io.Writer, from prometheus.Gatherer) error {
	families, err := from.Gather()
	if err != nil {
		return err
	}
	encoder := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return err
		}
	}
	return nil
}

// perProject collects the series of all projects, with the label project. It
// describes nothing, because its label values come and go.
type perProject struct{ m *Metrics }

// Describe sends nothing: the collector is unchecked.
func (perProject) Describe(chan<- *prometheus.Desc) {}

// Collect sends the series of projects with a label value of their own, and the
// sums of the others.
func (c perProject) Collect(out chan<- prometheus.Metric) {
	c.m.mu.RLock()
	projects := maps.Clone(c.m.projects)
	c.m.mu.RUnlock()
	var rest Pool
	others := false
	for slug, p := range projects {
		if p.named {
			labelled(slug, p).Collect(out)
			continue
		}
		others = true
		pool, _ := p.readPool()
		rest = rest.plus(pool)
	}
	if others {
		labelled(Other, c.m.other).Collect(out)
		labelled(Other, poolCollector(func() (Pool, bool) { return rest, true })).Collect(out)
	}
}

func labelled(project string, c prometheus.Collector) prometheus.Collector {
	return prometheus.WrapCollectorWith(prometheus.Labels{"project": project}, c)
}
