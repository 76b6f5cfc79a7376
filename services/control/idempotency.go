package control

import (
	"context"
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tenantry/policy/authz"
	"tenantry/tenants/store"
)

const (
	idempotencyHeader = "Idempotency-Key"
	replayedHeader    = "Idempotency-Replayed"
	maxIdempotencyKey = 255
)

// keptHeaders are given again with a kept answer.
var keptHeaders = []string{"Content-Type", "ETag", "Location"}

// idempotent answers a POST that was answered before, with the same key and the
// same content, as it was answered then. The store seals what it keeps, since
// answers hold new keys. Refusals are not kept: they changed nothing, and the
// reason may be gone.
func (s *service) idempotent(ctx huma.Context, next func(huma.Context)) {
	o := ctx.(owned)
	key := o.Header(idempotencyHeader)
	if ctx.Method() != http.MethodPost || key == "" {
		next(ctx)
		return
	}
	if len(key) > maxIdempotencyKey {
		p := invalid(Mistake{Parameter: idempotencyHeader, Message: "expected at most 255 characters"})
		o.fail(p)
		return
	}
	f := o.fiber()
	c := callOf(ctx.Context())
	hash := sha256.New()
	for _, part := range [][]byte{f.Request().Header.ContentType(), f.Request().URI().QueryString(), f.Body()} {
		sum := sha256.Sum256(part)
		hash.Write(sum[:])
	}
	scope := c.idempotencyScope() + " " + cloned(f.Method()) + " " + cloned(f.Path())
	answer, claim, err := s.Store.BeginIdempotent(ctx.Context(), scope, key, hash.Sum(nil))
	switch {
	case err != nil:
		p := problemOf(err)
		s.log(c, err, p)
		o.fail(p)
		return
	case answer != nil:
		for name, value := range answer.Header {
			f.Set(name, value)
		}
		f.Set(replayedHeader, "true")
		_ = f.Status(answer.Status).Send(answer.Body)
		return
	}
	finished := false
	// Also when the request's own time has run out, or the handler panics.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx.Context()), requestTimeout+5*time.Second)
	defer cancel()
	defer func() {
		if finished {
			return
		}
		if err := claim.Abandon(end); err != nil {
			s.Logger.Warn("idempotency key stays claimed", "type", "http-log", "request_id", c.requestID, "error", err)
		}
	}()
	next(ctx)
	status := f.Response().StatusCode()
	if status < 200 || status > 299 {
		return
	}
	kept := store.Answer{Status: status, Header: map[string]string{}, Body: append([]byte(nil), f.Response().Body()...)}
	for _, name := range keptHeaders {
		if value := f.Response().Header.Peek(name); len(value) > 0 {
			kept.Header[name] = string(value)
		}
	}
	// Even if the answer can't be kept the claim must stay: the request was run.
	finished = true
	if err := claim.Finish(end, kept); err != nil {
		s.Logger.Warn("idempotent answer was not kept", "type", "http-log", "request_id", c.requestID, "error", err)
	}
}

// idempotencyScope is whose keys are told apart. Strangers share no scope: a
// kept answer may hold a key.
func (c *call) idempotencyScope() string {
	if c.caller.kind == authz.CallerAnonymous {
		return c.caller.kind + " " + c.ip
	}
	return c.caller.kind + " " + c.caller.key.ID
}
