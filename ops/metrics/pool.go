package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Pool are the counts of a connection pool at one moment.
type Pool struct {
	InUse, Idle, Max int
	Waits            uint64        // how often a connection was waited for, since the start
	Waited           time.Duration // how long in sum
	Prepared         uint64        // statements that the database was asked to prepare
}

func (p Pool) plus(q Pool) Pool {
	return Pool{p.InUse + q.InUse, p.Idle + q.Idle, p.Max + q.Max, p.Waits + q.Waits, p.Waited + q.Waited, p.Prepared + q.Prepared}
}

var (
	poolConnections = prometheus.NewDesc("tenantry_pool_connections",
		"Connections to the project's database, by state.", []string{"state"}, nil)
	poolLimit = prometheus.NewDesc("tenantry_pool_connections_limit",
		"Connections to the project's database at most.", nil, nil)
	poolWaits = prometheus.NewDesc("tenantry_pool_waits_total",
		"How often a connection to the project's database was waited for.", nil, nil)
	poolWaited = prometheus.NewDesc("tenantry_pool_wait_seconds_total",
		"Time spent waiting for connections to the project's database.", nil, nil)
	poolPrepared = prometheus.NewDesc("tenantry_statement_preparations_total",
		"Statements that the project's database was asked to prepare. Next to none once the traffic is warm.", nil, nil)
)

// poolCollector shows a pool as it is when asked; nothing without a pool.
type poolCollector func() (Pool, bool)

// Describe is that of a prometheus.Collector.
func (poolCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolConnections, poolLimit, poolWaits, poolWaited, poolPrepared} {
		out <- d
	}
}

// Collect is that of a prometheus.Collector.
func (read poolCollector) Collect(out chan<- prometheus.Metric) {
	p, ok := read()
	if !ok {
		return
	}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	out <- prometheus.MustNewConstMetric(poolConnections, gauge, float64(p.InUse), "in_use")
	out <- prometheus.MustNewConstMetric(poolConnections, gauge, float64(p.Idle), "idle")
	out <- prometheus.MustNewConstMetric(poolLimit, gauge, float64(p.Max))
	out <- prometheus.MustNewConstMetric(poolWaits, counter, float64(p.Waits))
	out <- prometheus.MustNewConstMetric(poolWaited, counter, p.Waited.Seconds())
	out <- prometheus.MustNewConstMetric(poolPrepared, counter, float64(p.Prepared))
}
