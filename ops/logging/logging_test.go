package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestALineHasTimestampLevelTypeAndDetail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		log    func(*slog.Logger)
		level  string
		kind   string
		detail any
	}{
		"a message": {func(l *slog.Logger) { l.Info("hello") },
			"info", DefaultType, map[string]any{"message": "hello"}},
		"a type of its own and no message": {func(l *slog.Logger) { l.Warn("", "type", "http-log", "status", 200) },
			"warn", "http-log", map[string]any{"status": 200.0}},
		"a type from With": {func(l *slog.Logger) { l.With("type", "startup", "node", 1).Error("x", "error", errors.New("bad")) },
			"error", "startup", map[string]any{"message": "x", "node": 1.0, "error": "bad"}},
		"groups; a type inside is detail": {func(l *slog.Logger) {
			l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").Info("x", "type", "inner", "level", "mine")
		}, "info", DefaultType, map[string]any{"message": "x", "a": 1.0, "g": map[string]any{"b": 2.0, "h": map[string]any{"type": "inner", "level": "mine"}}}},
		"names of slog's own": {func(l *slog.Logger) { l.Info("x", "msg", "m", "time", "t", "level", "v") },
			"info", DefaultType, map[string]any{"message": "x", "msg": "m", "time": "t", "level": "v"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			logger, err := New(&out, "info")
			if err != nil {
				t.Fatal(err)
			}
			logger.Debug("below the level")
			c.log(logger)
			if strings.Count(out.String(), "\n") != 1 {
				t.Fatalf("not one line: %s", out.String())
			}
			var line map[string]any
			if err := json.Unmarshal(out.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			at, _ := line["timestamp"].(string)
			if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
				t.Error(err)
			}
			delete(line, "timestamp")
			want := map[string]any{"level": c.level, "type": c.kind, "detail": c.detail}
			if !reflect.DeepEqual(line, want) {
				t.Errorf("got  %v\nwant %v", line, want)
			}
		})
	}
}

func TestTwoLoggersOfOneParentDoNotShareAttributes(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	parent, _ := New(&out, "debug")
	parent = parent.With("a", 1).With("b", 2).With("c", 3)
	one, two := parent.With("one", true), parent.With("two", true)
	one.Debug("x")
	if strings.Contains(out.String(), "two") {
		t.Error(out.String())
	}
	two.Debug("y")
	if strings.Count(out.String(), `"one"`) != 1 {
		t.Error(out.String())
	}
}

func TestAnUnknownLevelIsRefusedWithWhatWasExpected(t *testing.T) {
	t.Parallel()
	if _, err := New(&bytes.Buffer{}, "loud"); err == nil || !strings.Contains(err.Error(), "debug, info, warn or error") {
		t.Error(err)
	}
	if _, err := New(&bytes.Buffer{}, "WARN"); err != nil {
		t.Error(err)
	}
}
