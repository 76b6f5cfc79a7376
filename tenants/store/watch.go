package store

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// quiet is how long the watch hears nothing before it asks whether the
	// connection still is one.
	quiet      = 10 * time.Second
	firstRetry = 50 * time.Millisecond
	maxRetry   = time.Second
)

// Watch calls changed with the id of every project that some node has changed,
// until ctx ends. Each time it has connected, at the start and after every
// interruption, it calls changed(""): anything may have changed meanwhile, so
// whatever is held in memory must be looked at again. Calls come one after the
// other from one goroutine; a slow one delays the next.
func (s *Store) Watch(ctx context.Context, changed func(projectID string)) {
	s.watch(ctx, channel, changed)
}

func (s *Store) watch(ctx context.Context, channel string, changed func(payload string)) {
	retry := firstRetry
	for ctx.Err() == nil {
		err := s.listen(ctx, channel, func(id string) {
			retry = firstRetry
			changed(id)
		})
		if ctx.Err() != nil {
			return
		}
		slog.Default().Warn("watch of changes was interrupted", "channel", channel, "error", err, "retry_in", retry)
		select {
		case <-time.After(retry):
		case <-ctx.Done():
			return
		}
		retry = min(retry*2, maxRetry)
	}
}

// listen watches on a connection of its own, not one of the pool, for as long
// as it lasts.
func (s *Store) listen(ctx context.Context, channel string, changed func(payload string)) error {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig.Copy())
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	changed("")
	for {
		n, err := waitFor(ctx, conn)
		if err != nil {
			return err
		}
		if n != "" {
			changed(n)
		}
	}
}

// waitFor returns the next notice, or "" after a quiet time in which the
// connection proved to live.
func waitFor(ctx context.Context, conn *pgx.Conn) (string, error) {
	wait, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	n, err := conn.WaitForNotification(wait)
	if err == nil {
		return n.Payload, nil
	}
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return "", err
	}
	ping, cancelPing := context.WithTimeout(ctx, connectTimeout)
	defer cancelPing()
	return "", conn.Ping(ping)
}
