// Package webhook holds what a tenant's webhook sees of Tenantry: payloads,
// header names and the signature of every outgoing call (contracts §6, §14).
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Header names of outgoing calls, in the form in which net/http keeps them.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
	HeaderRequestID = "X-Request-Id"
	HeaderTrace     = "Traceparent"
	// HeaderTraceState goes with traceparent.
	HeaderTraceState = "Tracestate"
	// HeaderDelegation carries a token that lets the handler call back.
	HeaderDelegation = "X-Delegation-Token"
	// HeaderCompletion carries the token by which the handler of an asynchronous
	// action may report its result later.
	HeaderCompletion = "X-Completion-Token"
	// HeaderIdempotencyKey carries the client's key of a mutation.
	HeaderIdempotencyKey = "Idempotency-Key"
	// HeaderProbe is there when a handler is only tried out, and names the probe.
	HeaderProbe = "X-Tenantry-Probe"
)

// ProbeVariable is the session variable that goes with HeaderProbe. Unlike the header
// it is signed.
const ProbeVariable = "x-hasura-tenantry-probe"

// SecretPrefix begins every signing secret; base64 of 24 to 64 bytes follows.
const SecretPrefix = "whsec_"

// ActionPayload is the body of a synchronous or asynchronous action call.
type ActionPayload struct {
	Action ActionName `json:"action"`
	// Input has one key per argument that the client gave; an explicit null is kept.
	Input            any               `json:"input"`
	SessionVariables map[string]string `json:"session_variables"`
	// RequestQuery is the client's query text, verbatim.
	RequestQuery string `json:"request_query"`
}

// ActionName names the action within a payload.
type ActionName struct {
	Name string `json:"name"`
}

// ValidationPayload is the body of a call that asks whether a mutation's input is
// acceptable (contracts §5).
type ValidationPayload struct {
	Version          int               `json:"version"`
	Role             string            `json:"role"`
	SessionVariables map[string]string `json:"session_variables"`
	Data             ValidationData    `json:"data"`
}

// ValidationData holds the input: the objects of an insert, or the arguments of
// an update or delete.
type ValidationData struct {
	Input []any `json:"input"`
}

// Key decodes a signing secret into the bytes that sign.
func Key(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, SecretPrefix)
	if !ok {
		return nil, fmt.Errorf("a signing secret begins with %s", SecretPrefix)
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) < 24 || len(key) > 64 {
		return nil, fmt.Errorf("a signing secret is %s and the base64 of 24 to 64 bytes", SecretPrefix)
	}
	return key, nil
}

// Sign returns the value of webhook-signature: one "v1,…" per key, in order,
// over "{id}.{unix seconds}.{body}" as the Standard Webhooks specification says.
func Sign(keys [][]byte, id string, at time.Time, body []byte) string {
	lasting := make([]SigningKey, len(keys))
	for i, key := range keys {
		lasting[i].Key = key
	}
	return NewSigner(lasting).Sign(id, at, body)
}

// SigningKey is a decoded signing secret.
type SigningKey struct {
	Key []byte
	// Until is when it signs no more; zero is never.
	Until time.Time
}

// Signer signs with the same keys again and again. Safe for concurrent use.
type Signer struct {
	keys []signerKey
}

type signerKey struct {
	macs  *sync.Pool // of *signing
	until time.Time
}

// signing is what one signature needs, to be used again.
type signing struct {
	mac    hash.Hash
	sum    [sha256.Size]byte
	prefix []byte
}

// NewSigner returns a Signer for keys; without keys it signs nothing.
func NewSigner(keys []SigningKey) *Signer {
	s := &Signer{keys: make([]signerKey, len(keys))}
	for i, key := range keys {
		s.keys[i] = signerKey{until: key.Until, macs: &sync.Pool{New: func() any { return &signing{mac: hmac.New(sha256.New, key.Key)} }}}
	}
	return s
}

// Sign returns what the function of that name does, with the keys that still sign at
// that time; empty without any.
func (s *Signer) Sign(id string, at time.Time, body []byte) string {
	const size = len("v1,") + 44 // base64 of 32 bytes
	out := make([]byte, 0, len(s.keys)*(size+1))
	for i := range s.keys {
		key := &s.keys[i]
		if !key.until.IsZero() && !at.Before(key.until) {
			continue
		}
		one := key.macs.Get().(*signing)
		one.prefix = append(strconv.AppendInt(append(append(one.prefix[:0], id...), '.'), at.Unix(), 10), '.')
		one.mac.Reset()
		one.mac.Write(one.prefix)
		one.mac.Write(body)
		if len(out) > 0 {
			out = append(out, ' ')
		}
		out = base64.StdEncoding.AppendEncode(append(out, "v1,"...), one.mac.Sum(one.sum[:0]))
		key.macs.Put(one)
	}
	return string(out)
}

// Agent is the User-Agent of calls that a version of the product makes.
func Agent(version string) string { return "Tenantry/" + version }
