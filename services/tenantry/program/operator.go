package program

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"tenantry/ops/health"
	"tenantry/ops/lifecycle"
)

// serveOperator lets the operator listener answer. It starts first and stops
// last, so that health can be asked all the while.
func (r *run) serveOperator(l net.Listener, metrics http.Handler, stack *lifecycle.Stack) {
	server := &http.Server{
		Handler:           operatorHandler(metrics, &r.checks, r.logger),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(r.logger.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			r.failed <- fmt.Errorf("the operator listener failed: %w", err)
		}
	}()
	stack.Push("operator listener", server.Shutdown)
}

// operatorHandler is everything on the operator's port.
func operatorHandler(metrics http.Handler, checks *health.Checks, logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz/live", func(w http.ResponseWriter, _ *http.Request) {
		answerHealth(w, checks.Live(), nil)
	})
	mux.HandleFunc("GET /healthz/ready", func(w http.ResponseWriter, q *http.Request) {
		ok, report := checks.Ready(q.Context())
		for _, result := range report {
			if !result.OK {
				logger.Debug("not ready", "check", result.Name, "error", result.Err)
			}
		}
		answerHealth(w, ok, report)
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// answerHealth writes 200 or 503 with what was checked.
func answerHealth(w http.ResponseWriter, ok bool, report []health.Result) {
	answer := struct {
		Status string          `json:"status"`
		Checks []health.Result `json:"checks,omitempty"`
	}{"ok", report}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !ok {
		answer.Status = "unavailable"
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer) // who asked may be gone
}
