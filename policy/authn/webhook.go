package authn

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
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
}

// hook asks a service of the tenant who a request is.
type hook struct {
	url         string
	post        bool
	omitRequest bool
	client      *http.Client
}

func newHook(w settings.WebhookAuth, client *http.Client) *hook {
	return &hook{url: w.URL, post: strings.EqualFold(w.Mode, "POST"), omitRequest: w.OmitRequest, client: client}
}

// ask calls the service. What it answers is the whole session: headers of the
// client count only as far as the service repeats them.
func (h *hook) ask(ctx context.Context, c Call, now time.Time) (session.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	request, err := h.request(ctx, c)
	if err != nil {
		return session.Session{}, unreachable(err)
	}
	answer, err := h.client.Do(request)
	if err != nil {
		return session.Session{}, unreachable(err)
	}
	defer func() { _ = answer.Body.Close() }()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return session.Session{}, errcode.New(errcode.AccessDenied, "Authentication hook unauthorized this request")
	default:
		return session.Session{}, invalidAnswer()
	}
	var doc map[string]any
	if err := json.NewDecoder(io.LimitReader(answer.Body, hookBytes)).Decode(&doc); err != nil {
		return session.Session{}, invalidAnswer().Because(err)
	}
	variables := make(map[string]string, len(doc))
	for name, value := range doc {
		if !session.IsVariable(name) {
			continue
		}
		text, ok := value.(string)
		if !ok {
			return session.Session{}, invalidAnswer()
		}
		variables[strings.ToLower(name)] = text
	}
	role := variables[session.RoleVariable]
	if role == "" {
		return session.Session{}, invalidAnswer()
	}
	return session.Session{Role: role, Variables: variables, Auth: session.AuthWebhook, Actor: variables["x-hasura-user-id"], Expires: holdsUntil(doc, now)}, nil
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

func (h *hook) request(ctx context.Context, c Call) (*http.Request, error) {
	if !h.post {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url, nil)
		if err != nil {
			return nil, err
		}
		c.Headers.All(func(name, value string) {
			if !withheld[strings.ToLower(name)] {
				r.Header.Add(name, value)
			}
		})
		return r, nil
	}
	headers := map[string]string{}
	c.Headers.All(func(name, value string) { headers[name] = value })
	doc := map[string]any{"headers": headers}
	if !h.omitRequest && json.Valid(c.Request) {
		doc["request"] = json.RawMessage(c.Request)
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	return r, nil
}

func invalidAnswer() *errcode.Error {
	return errcode.New(errcode.Unexpected, "Invalid response from authorization hook")
}

func unreachable(cause error) error {
	return errcode.New(errcode.Unexpected, "webhook authentication request failed").Because(cause)
}
