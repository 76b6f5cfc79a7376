package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Runs are the open runs of asynchronous actions of all projects at one moment.
type Runs struct {
	Queued, Running, Pending int64
	// Oldest is how long the due run that waits longest has been waiting.
	Oldest time.Duration
}

// runs are the metrics of asynchronous actions.
type runs struct {
	now        atomic.Pointer[Runs]
	deliveries *prometheus.CounterVec
	takenOver  prometheus.Counter
}

func newRuns(registry *prometheus.Registry) *runs {
	r := &runs{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_action_run_deliveries_total", Help: "Deliveries of runs of asynchronous actions by this node, by what came of them.",
		}, []string{"result"}),
		takenOver: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenantry_action_runs_taken_over_total", Help: "Runs that this node took over from workers that had died.",
		}),
	}
	registry.MustRegister(r.deliveries, r.takenOver)
	gauge := func(name, help string, labels prometheus.Labels, read func(Runs) float64) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 {
			if now := r.now.Load(); now != nil {
				return read(*now)
			}
			return 0
		}))
	}
	const name, help = "tenantry_action_runs", "Open runs of asynchronous actions in the installation, by state."
	gauge(name, help, prometheus.Labels{"state": "queued"}, func(r Runs) float64 { return float64(r.Queued) })
	gauge(name, help, prometheus.Labels{"state": "running"}, func(r Runs) float64 { return float64(r.Running) })
	gauge(name, help, prometheus.Labels{"state": "pending"}, func(r Runs) float64 { return float64(r.Pending) })
	gauge("tenantry_action_run_oldest_seconds", "How long the due run that waits longest has been waiting.", nil,
		func(r Runs) float64 { return r.Oldest.Seconds() })
	return r
}

// SetRuns tells how many runs are open.
func (m *Metrics) SetRuns(r Runs) { m.runs.now.Store(&r) }

// RunDelivered counts a delivery of a run: completed, failed, retried, pending or
// interrupted.
func (m *Metrics) RunDelivered(result string) { m.runs.deliveries.WithLabelValues(result).Inc() }

// RunsTakenOver counts runs of workers that had died.
func (m *Metrics) RunsTakenOver(n int) { m.runs.takenOver.Add(float64(n)) }
