package action

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/webhook"
)

// ProbeTimeout is the most time that a probe takes.
const ProbeTimeout = 5 * time.Second

// Probe is a call that tries out a handler: signed like others, or wrongly on
// purpose. It says by header and session variable that it is one, and lends the
// handler nothing: no delegation token, no completion token.
type Probe struct {
	Call
	Name string // tells the handler which one it is
	// Signature is how the call is signed.
	Signature Signature
	// Age is how old the call says it is.
	Age time.Duration
}

// Signature is how a probe is signed.
type Signature int

// The ways of signing a probe: by the project's secrets, by one that nobody has, or
// not at all.
const (
	Signed Signature = iota
	Forged
	Unsigned
)

// signs says when the probe says it was made, and who signs it.
func (p *Probe) signs(now time.Time, own *webhook.Signer, signed bool) (time.Time, *webhook.Signer, bool) {
	switch p.Signature {
	case Forged:
		var key [32]byte
		_, _ = rand.Read(key[:]) // never fails: the runtime ends the program instead
		own, signed = webhook.NewSigner([]webhook.SigningKey{{Key: key[:]}}), true
	case Unsigned:
		signed = false
	}
	return now.Add(-p.Age), own, signed
}

// Probed is what came of a probe.
type Probed struct {
	Status   int // 0 when there was no answer
	Duration time.Duration
	// Output fits the contract; Fits says that there is one.
	Output any
	Fits   bool
	// Refusal says that the handler refused in the form of the contract.
	Refusal bool
	// Wrong is what is wrong with the answer, without any secret; empty for one that
	// fits and for a refusal.
	Wrong string
}

// Probe calls the handler once, whatever its circuit says, and judges the answer.
// Circuits and retries know nothing of it; caps count it.
func (c *Caller) Probe(ctx context.Context, p Probe) Probed {
	leave, err := c.enter(p.Action.Name, p.Action.Metadata.Definition.MaxConcurrency)
	if err != nil {
		return Probed{Wrong: err.Message}
	}
	defer leave()
	p.Session.Variables = maps.Clone(p.Session.Variables)
	if p.Session.Variables == nil {
		p.Session.Variables = map[string]string{}
	}
	p.Session.Variables[webhook.ProbeVariable] = p.Name
	x := &exchange{caller: c, call: &p.Call, timeout: min(c.timeout(p.Action), ProbeTimeout), probe: &p}
	started := time.Now()
	output, err := x.once(ctx)
	out := Probed{Status: x.status, Duration: time.Since(started), Output: output, Fits: err == nil}
	switch {
	case err == nil:
	case err.Foreign:
		out.Refusal = true
	default:
		out.Wrong = x.wrong(err)
	}
	return out
}

// once is run without the circuit.
func (x *exchange) once(ctx context.Context) (any, *errcode.Error) {
	within, cancel := context.WithTimeout(ctx, x.timeout)
	defer cancel()
	request, err := x.request(within)
	if err != nil {
		return nil, err
	}
	if err := x.reach(ctx, request); err != nil {
		return nil, err
	}
	if x.status == http.StatusAccepted && x.call.Action.Async {
		return nil, nil // it would report its result later
	}
	return x.result()
}

// wrong tells an error with its reason, and no secret that a handler may echo.
func (x *exchange) wrong(err *errcode.Error) string {
	text := err.Message
	if d, ok := err.Internal.(*detail); ok {
		reason := d.Reason
		if reason == "" {
			reason = d.Error
		}
		text = fmt.Sprintf("%s: %s", text, reason)
	}
	return x.secrets().mask(text, detailBytes)
}
