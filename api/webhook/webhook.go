// Package webhook holds what a tenant's webhook sees of Tenantry: payloads,
// header names and the signature of every outgoing call (contracts §6, §14).
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Header names of outgoing calls.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
	HeaderRequestID = "x-request-id"
	HeaderTrace     = "traceparent"
	// HeaderTraceState goes with traceparent.
	HeaderTraceState = "tracestate"
	// HeaderDelegation carries a token that lets the handler call back.
	HeaderDelegation = "x-delegation-token"
	// HeaderCompletion carries the token by which the handler of an asynchronous
	// action may report its result later.
	HeaderCompletion = "x-completion-token"
	// HeaderIdempotencyKey carries the client's key of a mutation.
	HeaderIdempotencyKey = "idempotency-key"
)

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
	var out strings.Builder
	prefix := id + "." + strconv.FormatInt(at.Unix(), 10) + "."
	for i, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(prefix))
		mac.Write(body)
		if i > 0 {
			out.WriteByte(' ')
		}
		out.WriteString("v1,")
		out.WriteString(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return out.String()
}
