package health

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"
)

func TestReadyWhenEveryCheckPasses(t *testing.T) {
	t.Parallel()
	fine := func(context.Context) error { return nil }
	for name, c := range map[string]struct {
		check func(context.Context) error
		ok    bool
	}{
		"passes":                {fine, true},
		"fails":                 {func(context.Context) error { return errors.New("postgres://secret") }, false},
		"panics":                {func(context.Context) error { panic("oh") }, false},
		"ignores its context":   {func(context.Context) error { time.Sleep(10 * time.Second); return nil }, false},
		"ends with its context": {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, false},
	} {
		t.Run("the second "+name, func(t *testing.T) {
			t.Parallel()
			var checks Checks
			checks.Add("first", fine)
			checks.Add("second", c.check)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			ok, report := checks.Ready(ctx)
			if ok != c.ok || len(report) != 2 || !report[0].OK || report[1].OK != c.ok || report[1].Name != "second" || (report[1].Err == nil) != c.ok {
				t.Errorf("ok %v, report %+v", ok, report)
			}
			if public, _ := json.Marshal(report[1]); !c.ok && string(public) != `{"name":"second","ok":false}` {
				t.Errorf("everybody sees %s", public)
			}
		})
	}
}

func TestDrainingIsAliveButNotReady(t *testing.T) {
	t.Parallel()
	var checks Checks
	if ok, _ := checks.Ready(t.Context()); !ok {
		t.Error("not ready without any check")
	}
	checks.Drain(true)
	ok, report := checks.Ready(t.Context())
	if ok || len(report) != 1 || !errors.Is(report[0].Err, ErrDraining) || !checks.Live() {
		t.Errorf("ok %v, report %+v", ok, report)
	}
	checks.Drain(false)
	if ok, _ := checks.Ready(t.Context()); !ok {
		t.Error("not ready after draining")
	}
}
