// Package logging writes the program's log: one JSON object per line with the
// members timestamp, level, type and detail.
//
// main makes one Logger and hands it to every part. It prints what it is given:
// a secret must be of a type that does not print itself.
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
)

// TypeKey is the attribute that becomes the line's type, such as "http-log".
const TypeKey = "type"

// DefaultType is the type of a line that names none.
const DefaultType = "tenantry-log"

// timeLayout is ISO-8601 with offset, to the microsecond.
const timeLayout = "2006-01-02T15:04:05.000000Z07:00"

// ParseLevel reads "debug", "info", "warn" or "error", in any case; "" is info.
func ParseLevel(level string) (slog.Level, error) {
	switch strings.ToLower(level) {
	case "debug":
		return slog.LevelDebug, nil
	case "", "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("log level %q: expected debug, info, warn or error", level)
}

// New gives a logger that writes to w the lines of the level and above. The
// message and all attributes but TypeKey go into detail; a message is its
// member "message" and is left out when empty. Lines are written whole, also
// from several goroutines.
func New(w io.Writer, level string) (*slog.Logger, error) {
	least, err := ParseLevel(level)
	if err != nil {
		return nil, err
	}
	base := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: least, ReplaceAttr: rename})
	return slog.New(&handler{base: base, kind: DefaultType}), nil
}

// rename gives slog's own members their names on the line.
func rename(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return attr
	}
	switch attr.Key {
	case slog.TimeKey:
		return slog.String("timestamp", attr.Value.Time().UTC().Format(timeLayout))
	case slog.LevelKey:
		return slog.String("level", strings.ToLower(attr.Value.String()))
	case slog.MessageKey:
		return slog.Attr{}
	}
	return attr
}

// handler moves attributes into detail and hands the line to slog's own.
type handler struct {
	base  slog.Handler
	kind  string
	steps []step
}

// step is one With or WithGroup, in the order of the calls.
type step struct {
	group string // "" for attributes
	attrs []slog.Attr
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.base.Enabled(ctx, level)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := h.copy()
	if !next.grouped() {
		next.kind, attrs = takeType(next.kind, attrs)
	}
	if len(attrs) > 0 {
		next.steps = append(next.steps, step{attrs: attrs})
	}
	return next
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	next := h.copy()
	next.steps = append(next.steps, step{group: name})
	return next
}

func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	attrs := make([]slog.Attr, 0, record.NumAttrs())
	record.Attrs(func(attr slog.Attr) bool {
		attrs = append(attrs, attr)
		return true
	})
	kind := h.kind
	if !h.grouped() {
		kind, attrs = takeType(kind, attrs)
	}
	// From the innermost group outwards.
	for i := len(h.steps) - 1; i >= 0; i-- {
		if s := h.steps[i]; s.group != "" {
			attrs = []slog.Attr{{Key: s.group, Value: slog.GroupValue(attrs...)}}
		} else {
			attrs = slices.Concat(s.attrs, attrs)
		}
	}
	if record.Message != "" {
		attrs = append([]slog.Attr{slog.String("message", record.Message)}, attrs...)
	}
	line := slog.NewRecord(record.Time, record.Level, "", 0)
	line.AddAttrs(slog.String(TypeKey, kind), slog.Attr{Key: "detail", Value: slog.GroupValue(attrs...)})
	return h.base.Handle(ctx, line)
}

func (h *handler) copy() *handler {
	next := *h
	next.steps = slices.Clone(h.steps)
	return &next
}

func (h *handler) grouped() bool {
	return slices.ContainsFunc(h.steps, func(s step) bool { return s.group != "" })
}

// takeType takes the type out of the attributes; the last one wins.
func takeType(kind string, attrs []slog.Attr) (string, []slog.Attr) {
	rest := make([]slog.Attr, 0, len(attrs))
	for _, attr := range attrs {
		if value := attr.Value.Resolve(); attr.Key == TypeKey && value.Kind() == slog.KindString {
			kind = value.String()
			continue
		}
		rest = append(rest, attr)
	}
	return kind, rest
}
