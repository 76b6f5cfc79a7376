package instance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/api/webhook"
	"tenantry/services/engine/executor"
	"tenantry/tenants/store"
)

// replayedHeader tells a client that nothing ran.
const replayedHeader = "Idempotency-Replayed"

// maxIdempotencyKey is the length of a key at most.
const maxIdempotencyKey = 255

// A request holds its key for lease at a time, and renews it while it runs: when its
// node dies, the same request may soon run again.
const (
	lease       = 15 * time.Second
	leaseRenew  = 5 * time.Second
	settleLease = 5 * time.Second // what the first and the last word on a key may take
)

// AnswerStore keeps the answers to mutations with an idempotency key; *store.Store
// is one.
type AnswerStore interface {
	BeginLeased(ctx context.Context, scope, key string, hash []byte, lease time.Duration) (*store.Answer, *store.Claim, error)
}

// idempotencyKey is the key of a request; empty for none. The operation's own goes before
// the header, which the operations of a batch share and those of a socket do not have.
func idempotencyKey(r Request) (key string, own bool, err error) {
	place := "header " + webhook.HeaderIdempotencyKey
	if value := r.Extensions[graphqlhttp.IdempotencyKey]; value != nil {
		place, own = "extensions."+graphqlhttp.IdempotencyKey, true
		if key, _ = value.(string); key == "" {
			return "", own, errcode.New(errcode.BadRequest, "%s: expected a string of 1 to %d characters", place, maxIdempotencyKey).At("$")
		}
	} else {
		for _, h := range r.ClientHeaders {
			if len(h.Name) == len(webhook.HeaderIdempotencyKey) && strings.EqualFold(h.Name, webhook.HeaderIdempotencyKey) {
				key = h.Value
				break
			}
		}
	}
	if n := utf8.RuneCountInString(key); n > maxIdempotencyKey || !utf8.ValidString(key) || !webhook.ValidHeaderValue(key) {
		return "", own, errcode.New(errcode.BadRequest, "%s: expected at most %d characters of UTF-8 without control characters, got %d", place, maxIdempotencyKey, n).At("$")
	}
	return key, own, nil
}

// once runs a mutation with an idempotency key, or answers as it was answered before.
// It comes after all that may refuse an operation, so that no answer is given again
// to who may not have it any more.
func (i *Instance) once(ctx context.Context, key string, r Request, trail *Trail, to executor.Request,
	run func(executor.Request) (executor.Result, error),
) (executor.Result, error) {
	var none executor.Result
	if i.outside.Answers == nil {
		return none, errcode.New(errcode.NotSupported, "idempotency keys are not served here").At("$")
	}
	answer, claim, err := i.claim(ctx, i.idempotencyScope(to.Session, trail.Fields), key, requestHash(r))
	if err != nil {
		return none, errcode.From(err).At("$")
	}
	if answer != nil {
		trail.Replayed, trail.Executed = true, true // what went wrong then was its result
		i.outside.Metrics.RecordReplay()
		return replay(answer)
	}
	to.IdempotencyKey, to.Delivery = key, claim.Delivery
	release := i.hold(claim)
	defer release() // also after a panic: then the lease runs out
	result, err := run(to)
	release()
	i.settle(claim, result, err)
	return result, err
}

// claim asks for a key; an error means that nothing may run.
func (i *Instance) claim(ctx context.Context, scope, key string, hash []byte) (*store.Answer, *store.Claim, error) {
	ctx, cancel := context.WithTimeout(ctx, settleLease)
	defer cancel()
	return i.outside.Answers.BeginLeased(ctx, scope, key, hash, lease)
}

// idempotencyScope is whose keys are told apart: project, role, identity and the
// root fields. Who has no identity shares no scope with others from elsewhere.
func (i *Instance) idempotencyScope(s session.Session, fields []string) string {
	kind, who := "address", s.IP
	if id, ok := i.user(s); ok {
		kind, who = "user", id
	} else if s.Actor != "" {
		kind, who = string(s.Auth), s.Actor
	}
	// Hashed: names of users are nothing for a column that is not sealed.
	return "graphql " + i.Project.ID + " " + hex.EncodeToString(digest(s.Role, kind, who, strings.Join(fields, ",")))
}

// user is what the identity variables say of a session; false when it has none.
func (i *Instance) user(s session.Session) (who string, known bool) {
	names := i.Settings.Auth.Identity()
	if len(names) == 1 {
		return s.Lookup(names[0])
	}
	identity, err := json.Marshal(identityOf(s, names))
	return string(identity), err == nil && string(identity) != "{}"
}

// requestHash is over what a client asks: equal for equal operations and variables of
// one flavour of the schema.
func requestHash(r Request) []byte {
	variables, err := json.Marshal(r.Variables) // in the order of their names
	if err != nil {
		variables = nil // they were decoded from JSON
	}
	parts := []string{r.Query, r.OperationName, string(variables)}
	if r.Relay {
		parts = append(parts, "relay")
	}
	return digest(parts...)
}

// digest hashes parts so that no other parts look the same together.
func digest(parts ...string) []byte {
	h := sha256.New()
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}

// hold renews a claim until the returned function is called. The request goes on also when that fails:
// what it does can't be undone, and whoever does it again does it by the same id.
func (i *Instance) hold(claim *store.Claim) (release func()) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		tick := time.NewTicker(leaseRenew)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := claim.Renew(ctx, lease); err != nil && ctx.Err() == nil {
				i.outside.Logger.Warn("idempotency key was not renewed", "type", "http-log", "project", i.Project.Slug, "error", operatorText(err))
			}
		}
	}()
	return cancel
}

// settle keeps what is final: data, and what a handler itself says no to. After other
// failures the same request may run at once, with the same ids for handlers.
func (i *Instance) settle(claim *store.Claim, result executor.Result, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), settleLease)
	defer cancel()
	kept, ok := answerOf(result, err)
	if ok {
		err = claim.Finish(ctx, kept)
	} else {
		err = claim.Release(ctx)
	}
	if err != nil {
		i.outside.Logger.Warn("idempotent answer was not kept", "type", "http-log", "project", i.Project.Slug, "error", operatorText(err))
	}
}

// The members of a kept answer beside its body, as JSON.
const (
	keptHeaders = "headers" // []graphqlhttp.Header
	keptRefusal = "refusal" // refusal
)

// refusal is a handler's own error.
type refusal struct {
	Code       errcode.Code   `json:"code"`
	Message    string         `json:"message"`
	Path       string         `json:"path"`
	Extensions map[string]any `json:"extensions"`
}

func answerOf(result executor.Result, err error) (store.Answer, bool) {
	kept := store.Answer{Status: http.StatusOK, Header: map[string]string{}, Body: result.Body}
	name, value := keptHeaders, any(result.Headers)
	if err != nil {
		var e *errcode.Error
		if !errors.As(err, &e) || !e.Foreign {
			return kept, false
		}
		name, value = keptRefusal, refusal{e.Code, e.Message, e.Path, e.Extensions}
	}
	text, err := json.Marshal(value)
	kept.Header[name] = string(text)
	return kept, err == nil
}

// replay is the result that was kept.
func replay(a *store.Answer) (executor.Result, error) {
	told := executor.Result{Headers: []graphqlhttp.Header{{Name: replayedHeader, Value: "true"}}}
	if text, ok := a.Header[keptRefusal]; ok {
		var no refusal
		d := json.NewDecoder(bytes.NewReader([]byte(text)))
		d.UseNumber()
		if err := d.Decode(&no); err != nil {
			return told, err
		}
		return told, &errcode.Error{Code: no.Code, Message: no.Message, Path: no.Path, Extensions: no.Extensions, Foreign: true}
	}
	var headers []graphqlhttp.Header
	if err := json.Unmarshal([]byte(a.Header[keptHeaders]), &headers); err != nil {
		return told, err
	}
	told.Body, told.Headers = a.Body, append(headers, told.Headers...)
	return told, nil
}
