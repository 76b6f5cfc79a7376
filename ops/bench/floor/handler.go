package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"code.dny.dev/ssrf"
	"github.com/valyala/fasthttp"
)

// serveHandler answers the action: {"input":{"id":N}} gets {"id":N}.
func serveHandler(address string) error {
	return fasthttp.ListenAndServe(address, func(c *fasthttp.RequestCtx) {
		body := c.PostBody()
		id := int64(0)
		if i := bytes.Index(body, []byte(`"id":`)); i >= 0 {
			for i += len(`"id":`); i < len(body) && body[i] >= '0' && body[i] <= '9'; i++ {
				id = id*10 + int64(body[i]-'0')
			}
		}
		c.Response.Header.SetContentType("application/json")
		c.SetBodyString(`{"id":` + strconv.FormatInt(id, 10) + `}`)
	})
}

// guarded is the way to a webhook that a hand-written backend would need too: it
// refuses addresses that are not public, loopback aside, and follows no redirect.
var guarded = &http.Client{
	Transport: &http.Transport{
		DialContext: (&net.Dialer{
			Timeout: 10 * time.Second,
			Control: ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(netip.MustParsePrefix("127.0.0.0/8"))).Safe,
		}).DialContext,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     4 * time.Second,
	},
	Timeout:       30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func callHandler(ctx context.Context, id int64) (int64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, hook, bytes.NewReader(payload(id)))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := guarded.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return 0, err
	}
	return answered(response.StatusCode, text)
}

// plain is the way without a guard, for a handler that nobody else names: what the
// reference table was measured with.
var plain = &fasthttp.Client{
	MaxConnsPerHost: 256, MaxIdleConnDuration: time.Minute, NoDefaultUserAgentHeader: true, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
}

func callPlainly(_ context.Context, id int64) (int64, error) {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.SetRequestURI(hook)
	request.Header.SetMethod(fasthttp.MethodPost)
	request.Header.SetContentType("application/json")
	request.SetBodyRaw(payload(id))
	if err := plain.Do(request, response); err != nil {
		return 0, err
	}
	return answered(response.StatusCode(), response.Body())
}

func payload(id int64) []byte {
	return []byte(`{"action":{"name":"act"},"input":{"id":` + strconv.FormatInt(id, 10) + `},"session_variables":{"x-hasura-role":"user"},"request_query":""}`)
}

// answered reads the id that the handler answers.
func answered(status int, text []byte) (int64, error) {
	if status != http.StatusOK {
		return 0, fmt.Errorf("the handler answered %d", status)
	}
	return strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimPrefix(text, []byte(`{"id":`)), []byte("}"))), 10, 64)
}
