package authn

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/api/webhook"
	"tenantry/tenants/settings"
)

const (
	hookTimeout = 10 * time.Second
	hookBytes   = 1 << 20
)

// withheld are client headers that a GET call does not pass on: they speak of
// the client's own exchange. The last ones belong to a single connection.
var withheld = map[string]bool{
	"content-length": true, "content-md5": true, "user-agent": true, "host": true, "origin": true, "referer": true,
	"accept": true, "accept-encoding": true, "accept-language": true, "accept-datetime": true, "cache-control": true,
	"connection": true, "dnt": true, "content-type": true,
	"transfer-encoding": true, "upgrade": true, "te": true, "trailer": true, "keep-alive": true, "proxy-connection": true,
	// Each call has its own.
	"x-request-id": true, "webhook-id": true, "webhook-timestamp": true, "webhook-signature": true,
}

// hook asks a service of the tenant who a request is.
type hook struct {
	url         string
	post        bool
	omitRequest bool
	client      *http.Client
	now         func() time.Time
	cache       *hookCache // nil: every request is asked for
}

// hookAnswer is what the service said of a request.
type hookAnswer struct {
	session session.Session
	err     error
	keep    time.Time // until when it may be kept; zero: not at all
	cookies []string
}

func newHook(w settings.WebhookAuth, client *http.Client, now func() time.Time) *hook {
	h := &hook{url: w.URL, post: strings.EqualFold(w.Mode, "POST"), omitRequest: w.OmitRequest, client: client, now: now}
	if !w.DisableCache {
		h.cache = newHookCache()
	}
	return h
}

// askHook asks the service, unless a page of another origin could have sent the
// request with its reader's cookies.
func (a *Authenticator) askHook(ctx context.Context, c Call) (session.Session, error) {
	if byCookie(c.Headers) {
		if err := checkForgery(c); err != nil {
			return session.Session{}, err
		}
	}
	return a.hook.ask(ctx, c)
}

// ask calls the service, or uses what it said of the same request before. Its
// answer is the whole session: headers of the client count only as far as the
// service repeats them.
func (h *hook) ask(ctx context.Context, c Call) (session.Session, error) {
	out, err := h.outgoing(c)
	if err != nil {
		return session.Session{}, unreachable(err)
	}
	var answer hookAnswer
	first := true
	if h.cache == nil {
		answer = h.call(ctx, out, c)
	} else {
		answer, first, err = h.cache.do(ctx, out.key(), h.now, func(ctx context.Context) hookAnswer { return h.call(ctx, out, c) })
		if err != nil {
			return session.Session{}, unreachable(err)
		}
	}
	if first && c.SetCookie != nil {
		for _, cookie := range answer.cookies {
			c.SetCookie(cookie)
		}
	}
	return answer.session, answer.err
}

func (h *hook) call(ctx context.Context, out outgoing, c Call) hookAnswer {
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, out.method, h.url, bytes.NewReader(out.body))
	if err != nil {
		return hookAnswer{err: unreachable(err)}
	}
	request.Header = out.headers.Clone()
	if webhook.ValidHeaderValue(c.RequestID) {
		request.Header.Set(webhook.HeaderRequestID, c.RequestID)
	}
	if h.post { // the client's own is in the body
		c.Headers.All(func(name, value string) {
			trace := http.CanonicalHeaderKey(name)
			if (trace == webhook.HeaderTrace || trace == webhook.HeaderTraceState) && webhook.ValidHeaderValue(value) {
				request.Header.Set(trace, value)
			}
		})
	}
	response, err := h.client.Do(request)
	if err != nil {
		return hookAnswer{err: unreachable(err)}
	}
	defer func() { _ = response.Body.Close() }()
	answer := h.read(response)
	answer.cookies = response.Header.Values("Set-Cookie")
	if len(answer.cookies) > maxCookies {
		answer.cookies = answer.cookies[:maxCookies]
	}
	return answer
}

// maxCookies is how many cookies a service may set at once.
const maxCookies = 20

func (h *hook) read(response *http.Response) hookAnswer {
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return hookAnswer{keep: h.now().Add(hookNegative), err: errcode.New(errcode.AccessDenied, "Authentication hook unauthorized this request")}
	default:
		return hookAnswer{err: invalidAnswer()}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, hookBytes))
	var doc map[string]any
	if err == nil {
		err = json.Unmarshal(body, &doc)
	}
	if err != nil {
		return hookAnswer{err: invalidAnswer().Because(err)}
	}
	variables := make(map[string]string, len(doc))
	// In order, so that of two names that differ in case always the same wins, as in
	// tokens.
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		if !session.IsVariable(name) {
			continue
		}
		text, ok := doc[name].(string)
		if !ok {
			return hookAnswer{err: invalidAnswer()}
		}
		variables[strings.ToLower(name)] = text
	}
	role := variables[session.RoleVariable]
	if role == "" {
		return hookAnswer{err: invalidAnswer()}
	}
	answer := hookAnswer{session: session.Session{
		Role: role, Variables: variables, Auth: session.AuthWebhook, Actor: variables[userVariable], Expires: holdsUntil(doc, h.now()),
	}}
	if len(body) <= hookEntry {
		answer.keep = answer.session.Expires
	}
	return answer
}

// holdsUntil is how long the service says that its answer holds, by the members
// Cache-Control or Expires; zero when it says nothing that can be read.
func holdsUntil(doc map[string]any, now time.Time) time.Time {
	var control, expires string
	for name, value := range doc {
		text, _ := value.(string)
		switch strings.ToLower(name) {
		case "cache-control":
			control = text
		case "expires":
			expires = text
		}
	}
	for directive := range strings.SplitSeq(control, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if seconds, err := strconv.Atoi(strings.TrimSpace(value)); strings.EqualFold(name, "max-age") && err == nil && seconds >= 0 {
			return now.Add(time.Duration(min(seconds, maxHold)) * time.Second)
		}
	}
	at, err := http.ParseTime(expires)
	if err != nil {
		return time.Time{}
	}
	return at
}

// maxHold is a bound that no clock overflows beyond, in seconds.
const maxHold = 10 * 365 * 24 * 3600

// outgoing is the request to the service, as it is sent.
type outgoing struct {
	method  string
	headers http.Header
	body    []byte
}

func (h *hook) outgoing(c Call) (outgoing, error) {
	out := outgoing{method: http.MethodGet, headers: http.Header{}}
	if !h.post {
		c.Headers.All(func(name, value string) {
			if !withheld[strings.ToLower(name)] {
				out.headers.Add(name, value)
			}
		})
		return out, nil
	}
	headers := map[string]string{}
	c.Headers.All(func(name, value string) { headers[name] = value })
	doc := map[string]any{"headers": headers}
	if !h.omitRequest && json.Valid(c.Request) {
		doc["request"] = json.RawMessage(c.Request)
	}
	body, err := json.Marshal(doc)
	out.method, out.body = http.MethodPost, body
	out.headers.Set("Content-Type", "application/json")
	return out, err
}

// key stands for all that the service sees.
func (o outgoing) key() cacheKey {
	digest := sha256.New()
	_ = o.headers.Write(digest) // sorted by name
	_, _ = digest.Write(o.body)
	return cacheKey(digest.Sum(nil))
}

func invalidAnswer() *errcode.Error {
	return errcode.New(errcode.Unexpected, "Invalid response from authorization hook")
}

func unreachable(cause error) error {
	return errcode.New(errcode.Unexpected, "webhook authentication request failed").Because(cause)
}
