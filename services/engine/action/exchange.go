package action

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"tenantry/api/errcode"
	"tenantry/api/webhook"
	"tenantry/services/engine/transform"
)

// exchange is one call under way: what was sent and what came back, kept for
// the account that admins get of a failure.
type exchange struct {
	caller  *Caller
	call    *Call
	timeout time.Duration

	transforms *transforms       // nil when the action has none
	context    transform.Context // what the transforms read
	before     *exchange         // what would have been sent; nil without a request transform
	method     string            // that a request transform chose

	url      string // expanded; may hold secrets
	sent     http.Header
	body     []byte
	status   int
	header   http.Header
	answer   []byte
	complete bool // answer is the whole body
	pending  bool // the handler will report its result
	called   bool // the handler was reached out to

	probe *Probe // nil for calls of clients

	values [10]string // of headers; used of them
	used   int
}

// run is the way of one call.
func (x *exchange) run(ctx context.Context) (any, *errcode.Error) {
	if err := x.send(ctx); err != nil {
		return nil, err
	}
	return x.result()
}

// send calls the handler, unless its circuit is open, and takes in its answer. One
// context bounds all of it: resolving, connecting, sending, and reading to the last
// byte.
func (x *exchange) send(ctx context.Context) *errcode.Error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	within, cancel := x.caller.deadlines.Within(ctx, x.timeout, time.Now())
	defer cancel()
	request, err := x.request(within)
	if err != nil {
		return err
	}
	t := x.caller.Traffic
	circuit := t.breaker(request.URL)
	if circuit == nil {
		return x.reach(ctx, request)
	}
	allowed, probe := circuit.allow(t.now())
	if !allowed {
		return errcode.New(errcode.ActionCircuitOpen, "the handler failed too often and is not called for a while").
			WithInternal(x.detail("the circuit of the handler's origin is open"))
	}
	v := unknown
	defer func() { // also when the transport panics: a probe must not stay under way
		if opened, closed := circuit.done(t.now(), probe, v); opened || closed {
			t.circuit(opened)
		}
	}()
	err = x.reach(ctx, request)
	v = judge(x.status, err)
	return err
}

// reach sends the request and reads the answer; parent is the context of whoever
// waits for it.
func (x *exchange) reach(parent context.Context, request *http.Request) *errcode.Error {
	x.called = true
	response, failure := x.caller.transport.RoundTrip(request)
	if failure != nil {
		return x.failed(parent, request.Context(), failure)
	}
	// Closing an unread body closes the connection, so an endless answer ends here.
	defer response.Body.Close()
	x.status, x.header = response.StatusCode, response.Header
	x.answer, x.complete, failure = read(response.Body, response.ContentLength, x.caller.MaxResponse)
	if failure != nil {
		return x.failed(parent, request.Context(), failure)
	}
	return nil
}

// request makes the signed request.
func (x *exchange) request(ctx context.Context) (*http.Request, *errcode.Error) {
	def := &x.call.Action.Metadata.Definition
	address, err := x.address(def.Handler)
	if err != nil {
		return nil, err
	}
	headers, err := x.headers(def)
	if err != nil {
		return nil, err
	}
	if x.body == nil {
		if x.body, err = payload(x.call); err != nil {
			return nil, err
		}
	}
	if err = x.prepare(); err != nil {
		return nil, err
	}
	method, address, headers, err := x.rewritten(address, headers)
	if err != nil {
		return nil, err
	}
	request, failure := http.NewRequestWithContext(ctx, method, "", bytes.NewReader(x.body))
	if failure != nil {
		return nil, x.misconfigured("the handler is called with a method that HTTP does not allow")
	}
	request.URL, request.Host = address, address.Host // it was parsed already
	x.sign(headers)
	if user := address.User; user != nil && headers.Get("Authorization") == "" {
		request.Header = headers
		password, _ := user.Password()
		request.SetBasicAuth(user.Username(), password)
	}
	if host := headers.Get("Host"); host != "" {
		request.Host = host
		headers.Del("Host")
	}
	request.Header, x.sent = headers, headers
	return request, nil
}

// address expands and parses the handler's URL. The parser's own errors quote
// the URL, which may hold secrets, so they go no further.
func (x *exchange) address(handler string) (*url.URL, *errcode.Error) {
	expanded, missing := x.caller.Expand(handler)
	if len(missing) > 0 {
		return nil, x.misconfigured("the handler's URL names variables that are not set: " + list(missing))
	}
	u, err := url.Parse(expanded)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, x.misconfigured("the handler's URL is not an http or https URL once its variables are filled in")
	}
	x.url = expanded
	return u, nil
}

func encode(payload any) ([]byte, *errcode.Error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(payload); err != nil {
		return nil, internal(err)
	}
	return bytes.TrimSuffix(body.Bytes(), []byte("\n")), nil
}

// sign sets the headers that identify the call; nobody else can set them.
func (x *exchange) sign(headers http.Header) {
	id, at := x.call.ID, x.caller.Now()
	signer, signs := x.caller.signer, len(x.caller.SigningKeys) > 0
	if x.probe != nil {
		at, signer, signs = x.probe.signs(at, signer, signs)
		x.set(headers, webhook.HeaderProbe, x.probe.Name)
	}
	if id == "" || !webhook.ValidHeaderValue(id) {
		id = newID()
	}
	x.set(headers, webhook.HeaderID, id)
	x.set(headers, webhook.HeaderTimestamp, unix(at))
	if key := x.call.IdempotencyKey; key != "" && webhook.ValidHeaderValue(key) {
		x.set(headers, webhook.HeaderIdempotencyKey, key)
	}
	if !x.call.Completion.IsZero() {
		x.set(headers, webhook.HeaderCompletion, x.call.Completion.Reveal())
	}
	if name := x.call.Action.Name; name != "" && x.probe == nil { // a validation has none, and its webhook no part in what is decided
		if token := x.caller.Delegation.Token(x.call.Session, name, x.caller.timeout(x.call.Action)); token != "" {
			x.set(headers, webhook.HeaderDelegation, token)
		}
	}
	if signs {
		x.set(headers, webhook.HeaderSignature, signer.Sign(id, at, x.body))
	}
}

// newID is a time-ordered id, or a random one should the clock fail.
func newID() string {
	if id, err := uuid.NewV7(); err == nil {
		return id.String()
	}
	return uuid.NewString()
}

// CallID is the webhook-id of the nth field of a request that may run again, the
// same each time; empty, which means a new one, for other requests.
func CallID(delivery string, n int) string {
	if delivery == "" {
		return ""
	}
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(delivery+" "+strconv.Itoa(n))).String()
}

// read takes in at most limit bytes; complete is false when there are more. The
// buffer grows with what arrives, not with what the handler announces, and never
// past the limit.
func read(body io.Reader, announced, limit int64) (data []byte, complete bool, err error) {
	if announced > limit {
		return nil, false, nil
	}
	first := int64(4096)
	if announced >= 0 {
		first = min(first, announced+1) // one more, to hear of the end
	}
	data = make([]byte, 0, min(limit+1, first))
	for {
		n, err := body.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case int64(len(data)) > limit:
			return nil, false, nil
		case errors.Is(err, io.EOF):
			return data, true, nil
		case err != nil:
			return nil, false, err
		}
		if len(data) == cap(data) {
			grown := make([]byte, len(data), min(2*int64(cap(data)), limit+1))
			copy(grown, data)
			data = grown
		}
	}
}
