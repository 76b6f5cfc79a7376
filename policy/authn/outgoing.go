package authn

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"tenantry/api/webhook"
)

// standard sends the calls of a project's services as contracts §14 wants all calls of
// a tenant's URLs: with who calls, the request that it is for, and a signature.
type standard struct {
	next   http.RoundTripper
	agent  string
	signer *webhook.Signer
	signs  bool
	now    func() time.Time
}

// standardClient is client for such calls. It shares connections with it.
func standardClient(client *http.Client, c Config) *http.Client {
	out, next := *client, client.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	out.Transport = &standard{next, c.Agent, webhook.NewSigner(c.SigningKeys), len(c.SigningKeys) > 0, c.Now}
	return &out
}

// RoundTrip sends a copy of r with the headers that identify a call; nobody else can
// set them but for the request's id and its trace, which begin here where there are
// none.
func (s *standard) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.GetBody != nil {
		again, err := r.GetBody()
		if err == nil {
			body, err = io.ReadAll(again)
		}
		if err != nil {
			return nil, err
		}
	}
	r = r.Clone(r.Context())
	id, at := uuid.NewString(), s.now()
	r.Header.Set("User-Agent", s.agent)
	r.Header.Set(webhook.HeaderID, id)
	r.Header.Set(webhook.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	r.Header.Del(webhook.HeaderSignature)
	if s.signs {
		r.Header.Set(webhook.HeaderSignature, s.signer.Sign(id, at, body))
	}
	if r.Header.Get(webhook.HeaderRequestID) == "" {
		r.Header.Set(webhook.HeaderRequestID, uuid.NewString())
	}
	if r.Header.Get(webhook.HeaderTrace) == "" {
		r.Header.Set(webhook.HeaderTrace, webhook.NewTrace())
		r.Header.Del(webhook.HeaderTraceState)
	}
	return s.next.RoundTrip(r)
}
