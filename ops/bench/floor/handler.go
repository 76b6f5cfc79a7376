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
	body := `{"action":{"name":"act"},"input":{"id":` + strconv.FormatInt(id, 10) + `},"session_variables":{"x-hasura-role":"user"},"request_query":""}`
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, hook, bytes.NewReader([]byte(body)))
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
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the handler answered %d", response.StatusCode)
	}
	return strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimPrefix(text, []byte(`{"id":`)), []byte("}"))), 10, 64)
}
