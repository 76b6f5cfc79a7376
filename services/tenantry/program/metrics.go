package program

import (
	"github.com/prometheus/client_golang/prometheus"

	"tenantry/ops/metrics"
	"tenantry/tenants/store"
)

// newMetrics makes the metrics of this run. A registry of its own, so that two
// programs in one process do not meet.
func newMetrics() *metrics.Metrics {
	return metrics.New(prometheus.NewRegistry(), metrics.Options{Version: Version})
}

// readStorePool shows the control plane's connections.
func readStorePool(m *metrics.Metrics, s *store.Store) {
	m.ReadControlPool(func() metrics.Pool {
		p := s.PoolStats()
		return metrics.Pool{InUse: int(p.InUse), Idle: int(p.Idle), Max: int(p.Max), Waits: uint64(p.Waits), Waited: p.Waited}
	})
}
