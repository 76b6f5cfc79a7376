package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// client calls an HTTP API with one credential.
type client struct {
	base          string
	header, value string // the credential
	idempotency   string // of the next call
}

// self reaches the program's own listener. A certificate is not checked: it is
// for the name that clients use, and we ask on this machine.
var self = &http.Client{
	Timeout: time.Minute,
	Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the peer is this process
		DisableKeepAlives: true,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func newClient(base, header, value string) client {
	return client{base: base, header: header, value: value}
}

// once makes the client's POST repeatable: the same key again gets the first
// answer again.
func (c client) once(key string) client {
	c.idempotency = key
	return c
}

// statusError is an answer that is no success. Its text holds the problem's
// code and message, which name no secret.
type statusError struct {
	method, path string
	status       int
	problem      string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s %s answered %d: %s", e.method, e.path, e.status, e.problem)
}

func hasStatus(err error, status int) bool {
	var e *statusError
	return errors.As(err, &e) && e.status == status
}

// do sends body as JSON and reads the answer into out, if any.
func (c client) do(ctx context.Context, method, path string, body, out any) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return err
	}
	request.Header.Set(c.header, c.value)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.idempotency != "" {
		request.Header.Set("Idempotency-Key", c.idempotency)
	}
	response, err := self.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return err
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return &statusError{method, path, response.StatusCode, problemText(text)}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s %s answered something else than expected: %w", method, path, err)
	}
	return nil
}

// problemText takes the readable parts of an error's body.
func problemText(body []byte) string {
	var p struct {
		Code, Title, Detail, Error string
		Errors                     []struct{ Pointer, Message string }
	}
	if json.Unmarshal(body, &p) != nil {
		return "an unreadable answer"
	}
	text := p.Code
	for _, part := range []string{p.Detail, p.Error} {
		if part != "" {
			text += " " + part
		}
	}
	for _, e := range p.Errors {
		text += fmt.Sprintf("; %s %s", e.Pointer, e.Message)
	}
	return text
}
