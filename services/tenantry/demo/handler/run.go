package handler

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"tenantry/api/webhook"
	"tenantry/ops/logging"
)

// Config is the one line that whoever starts the handler writes to its stdin.
type Config struct {
	DatabaseURL   string `json:"database_url"`
	SigningSecret string `json:"signing_secret"`
	Listen        string `json:"listen"` // host:port; port 0: a free one
}

// Ready is the one line that the handler writes to its stdout.
type Ready struct {
	Address string `json:"address"` // host:port
}

// Run serves until stdin ends: whoever started the process holds the other end,
// so the handler ends with it, however that happens. Secrets come over stdin
// because arguments and environment of a process can be seen by others.
func Run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
	logger, err := logging.New(stderr, "info")
	if err != nil {
		return err
	}
	logger = logger.With(logging.TypeKey, "demo-handler")
	lines := bufio.NewReader(stdin)
	var config Config
	if line, err := lines.ReadBytes('\n'); err != nil || json.Unmarshal(line, &config) != nil {
		return errors.New("demo-handler is started by `tenantry dev`, which tells it what it needs")
	}
	key, err := webhook.Key(config.SigningSecret)
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx, config.DatabaseURL)
	if err != nil {
		return err
	}
	defer db.pool.Close()
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           newHandler(key, db, logger),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	if err := json.NewEncoder(stdout).Encode(Ready{listener.Addr().String()}); err != nil {
		return err
	}
	released := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, lines) // its end is what matters
		close(released)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	case <-released:
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(stopping)
}
