package action

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/webhook"
	"tenantry/tenants/metadata"
)

func TestWhatAHandlerAnswersBecomesAPublicError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status              int
		body                string
		code, message, told string
		extensions          string
	}{
		{500, `{"message":"canary stack trace"}`, "unexpected", "internal error", "expecting 2xx or 4xx status code, but found 500", "null"},
		{503, ``, "unexpected", "internal error", "but found 503", "null"},
		{304, ``, "unexpected", "internal error", "but found 304", "null"},
		{200, `<html>`, "unexpected", "not a valid json response from webhook", `"status":200`, "null"},
		{200, ``, "unexpected", "not a valid json response from webhook", "unexpected response", "null"},
		{200, `{"order_id":1} x`, "unexpected", "not a valid json response from webhook", "unexpected response", "null"},
		{200, `[]`, "unexpected", "got array for the action webhook response, expecting Order", `"body":[]`, "null"},
		{400, `nope`, "unexpected", "not a valid json response from webhook", `"status":400`, "null"},
		{400, `{"error":"x"}`, "unexpected", `expecting an error response from webhook with the key "message" (string)`, `"status":400`, "null"},
		{400, `{"message":"m","extensions":1}`, "unexpected", `expecting an object for the key "extensions" in the error response from webhook`, `"status":400`, "null"},
		{400, `{"message":"m","code":1}`, "unexpected", `expecting a string for the key "code" in the error response from webhook`, `"status":400`, "null"},
		{400, `{"message":"100% wrong"}`, "unexpected", "100% wrong", "null", "null"},
		{422, `{"message":"m","code":"invalid-email"}`, "invalid-email", "m", "null", "null"},
		{400, `{"message":"m","code":"top","extensions":{"foo":12345678901234567890}}`, "top", "m", "null", `{"foo":12345678901234567890}`},
		{400, `{"message":"m","code":"top","extensions":{"foo":"bar","code":"X"}}`, "X", "m", "null", `{"code":"X","foo":"bar"}`},
		{400, `{"message":"m","extensions":{}}`, "unexpected", "m", "null", `{}`},
	} {
		s := answers(t, c.status, c.body)
		result, err := New(options(t, nil)).Call(t.Context(), call(t, s.URL, "Order"))
		if err == nil {
			t.Errorf("%d %s: no error", c.status, c.body)
			continue
		}
		e := public(t, err)
		if string(e.Code) != c.code || e.Message != c.message || e.Path != "$" || result.Status != c.status {
			t.Errorf("%d %s: got %s %q at %s, status %d", c.status, c.body, e.Code, e.Message, e.Path, result.Status)
		}
		if told := toJSON(t, e.Internal); !strings.Contains(told, c.told) {
			t.Errorf("%d %s: admins get %s", c.status, c.body, told)
		}
		if got := toJSON(t, e.Extensions); got != c.extensions {
			t.Errorf("%d %s: extensions %s", c.status, c.body, got)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Int32
	target := handler(t, func(w http.ResponseWriter, _ *http.Request) { followed.Add(1); _, _ = io.WriteString(w, `null`) })
	for _, location := range []string{target.URL, "http://[malformed"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			s := handler(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", location)
				w.WriteHeader(status)
			})
			_, err := New(options(t, nil)).Call(t.Context(), call(t, s.URL, "Order"))
			if e := public(t, err); e.Code != errcode.Unexpected || e.Message != "internal error" {
				t.Errorf("%d: got %s %q", status, e.Code, e.Message)
			}
		}
	}
	if followed.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestHandlersThatGiveNoAnswer(t *testing.T) {
	t.Parallel()
	wait := func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body); <-r.Context().Done() }
	drip := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, " ")
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	}
	hang := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		connection, _, _ := w.(http.Hijacker).Hijack()
		_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
		_ = connection.Close()
	}
	refusing := httptest.NewServer(nil)
	refusing.Close()
	untrusted := httptest.NewUnstartedServer(nil)
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are given up
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)

	for name, c := range map[string]struct {
		url  string
		code errcode.Code
		told string
	}{
		"sleeps":                  {handler(t, wait).URL, errcode.ActionTimeout, "no complete answer within 300ms"},
		"drips":                   {handler(t, drip).URL, errcode.ActionTimeout, "no complete answer within 300ms"},
		"breaks off":              {handler(t, hang).URL, errcode.ActionUnreachable, "before the answer was complete"},
		"refuses":                 {refusing.URL, errcode.ActionUnreachable, "connection refused"},
		"has another certificate": {untrusted.URL, errcode.ActionUnreachable, "TLS"},
		"has no address":          {"http://nowhere.invalid", errcode.ActionUnreachable, "host name was not found"},
		"is internal":             {"http://internal.invalid", errcode.BlockedEgress, "may not be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t, nil)
			if c.code == errcode.ActionTimeout { // the others have time also where the machine is busy
				o.MaxTimeout = 300 * time.Millisecond
			}
			transport := o.Client.Transport.(*http.Transport)
			// Trusts nobody: the first look at the machine's authorities reads hundreds of files,
			// which takes seconds where others do the same.
			transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
			transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				switch host, _, _ := net.SplitHostPort(address); host {
				case "internal.invalid":
					return nil, errcode.New(errcode.BlockedEgress, "10.0.0.1 is blocked")
				case "nowhere.invalid": // as a resolver says it, without asking one
					return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
				}
				return (&net.Dialer{}).DialContext(ctx, network, address)
			}
			started := time.Now()
			_, err := New(o).Call(t.Context(), call(t, c.url, "Order"))
			e := public(t, err)
			if e.Code != c.code || e.Message != "http exception when calling webhook" || e.Path != "$" {
				t.Errorf("got %s %q", e.Code, e.Message)
			}
			told := toJSON(t, e.Internal)
			if !strings.Contains(told, c.told) {
				t.Errorf("admins get %s, want %s", told, c.told)
			}
			causes := 0
			for cause := errors.Unwrap(e); cause != nil; cause = errors.Unwrap(cause) { // as logs tell it
				causes++
				if text := cause.Error(); strings.Contains(text, "127.0.0.1") || strings.Contains(text, "10.0.0.1") || strings.Contains(text, ".invalid") {
					t.Errorf("a cause is %v", cause)
				}
			}
			if causes == 0 {
				t.Error("there is no cause")
			}
			if took := time.Since(started); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// Not parallel: it reads the allocations of the whole process.
func TestAnEndlessAnswerIsCutOffWithoutBeingKept(t *testing.T) {
	const size, limit, most = 1 << 30, DefaultMaxResponse, 32 << 20
	chunk := []byte(strings.Repeat("[", 32<<10))
	var written atomic.Int64
	stream := func(w io.Writer) {
		for sent := 0; sent < size; sent += len(chunk) {
			n, err := w.Write(chunk)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
	for name, serve := range map[string]http.HandlerFunc{
		"announced": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			stream(w)
		},
		"chunked":      func(w http.ResponseWriter, _ *http.Request) { stream(w) },
		"a refusal":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400); stream(w) },
		"server error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); stream(w) },
	} {
		s := handler(t, serve)
		o := options(t, nil)
		o.MaxResponse = limit
		caller := New(o)
		written.Store(0)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := caller.Call(t.Context(), call(t, s.URL, "Order"))
		runtime.ReadMemStats(&after)
		e := public(t, err)
		want := errcode.ActionResponseTooLarge
		if name == "server error" {
			want = errcode.Unexpected
		}
		if e.Code != want {
			t.Errorf("%s: got %s %q", name, e.Code, e.Message)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > most {
			t.Errorf("%s: %d bytes were allocated", name, grown)
		}
		s.Close() // waits for the handler
		if written.Load() >= size {
			t.Errorf("%s: the handler could write all of it", name)
		}
	}
}

func TestTheLimitCountsTheBytesAfterDecompression(t *testing.T) {
	t.Parallel()
	s := handler(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		for range 40 {
			_, _ = z.Write(make([]byte, 64<<10))
		}
		_ = z.Close()
	})
	o := options(t, nil)
	o.MaxResponse = 1 << 20
	_, err := New(o).Call(t.Context(), call(t, s.URL, "Order"))
	if e := public(t, err); e.Code != errcode.ActionResponseTooLarge {
		t.Errorf("got %s %q", e.Code, e.Message)
	}
}

func TestAnAnswerOfExactlyTheLimitIsTaken(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]bool{9999: true, 10000: true, 10001: false} {
		s := answers(t, 200, `"`+strings.Repeat("x", size-2)+`"`)
		o := options(t, nil)
		o.MaxResponse = 10000
		if _, err := New(o).Call(t.Context(), call(t, s.URL, "String")); (err == nil) != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestNoSecretIsToldWhenAHandlerEchoesThem(t *testing.T) {
	t.Parallel()
	echo := func(status int, wrap func(string) string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Set-Cookie", "sid=canary-cookie")
			w.Header().Set("Server", r.Header.Get("X-Api-Key"))
			w.WriteHeader(status)
			text := r.URL.String() + fmt.Sprint(r.Header) + " and \"" + r.Header.Get("X-Odd")
			_, _ = io.WriteString(w, wrap(text))
		}
	}
	asJSON := func(text string) string { return `{"order_id":null,"echo":` + toJSON(t, text) + `}` }
	escaped := func(text string) string { // every character as \u00xx
		var out strings.Builder
		for _, b := range []byte(text) {
			fmt.Fprintf(&out, `\u%04x`, b)
		}
		return `{"echo":"` + out.String() + `"}`
	}
	long := func(text string) string { return asJSON(strings.Repeat(text, 200)) }
	raw := func(text string) string { return strings.Repeat(text, 200) }
	for name, serve := range map[string]http.HandlerFunc{
		"server error": echo(500, raw), "wrong shape": echo(200, asJSON), "long": echo(200, long),
		"not JSON": echo(200, raw), "bad refusal": echo(400, escaped), "redirect": echo(302, asJSON),
	} {
		s := handler(t, serve)
		c := call(t, "{{HOOK}}&token={{TOKEN}}", "Order")
		c.Action.Metadata.Definition.ForwardClientHeaders = true
		c.Action.Metadata.Definition.Headers = []metadata.Header{
			{Name: "X-Api-Key", ValueFromEnv: "KEY"}, {Name: "Authorization", Value: "Bearer {{TOKEN}}"},
			{Name: "X-Plain", Value: "Basic canary-literal"}, {Name: "X-Odd", ValueFromEnv: "ODD"}, {Name: "User-Agent", ValueFromEnv: "KEY"},
		}
		c.ClientHeaders = append(c.ClientHeaders, struct{ Name, Value string }{"Cookie", "canary-session"})
		o := options(t, map[string]string{"HOOK": s.URL + "/hook?id=canary-in-url", "TOKEN": "canary-token", "KEY": "canary-key", "ODD": `canary"<odd>\x`})
		o.SigningKeys = []webhook.SigningKey{{Key: []byte("canary-signing-key-24-bytes")}}
		_, err := New(o).Call(t.Context(), c)
		e := public(t, err)
		told := toJSON(t, e.Internal)
		if e.Internal == nil || !strings.Contains(told, "{{HOOK}}") || !strings.Contains(told, masked) {
			t.Errorf("%s: admins get %s", name, told)
		}
		all := fmt.Sprintf("%s %v %+v %v", told, e, e, errors.Unwrap(e))
		if strings.Contains(all, "canary") || strings.Contains(told, s.Listener.Addr().String()) {
			t.Errorf("%s: a secret is told: %s", name, all)
		}
		if len(told) > 16<<10 {
			t.Errorf("%s: admins get %d bytes", name, len(told))
		}
	}
}

func TestAPasswordInAnAddressIsNotTold(t *testing.T) {
	t.Parallel()
	s := handler(t, func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		w.WriteHeader(500)
		_, _ = io.WriteString(w, r.Header.Get("Authorization")+" "+password)
	})
	at := func(user string) string { return strings.Replace(s.URL, "://", "://"+user+"@", 1) }
	variables := map[string]string{"HOOK": at("shop:canary-password"), "PASSWORD": "canary-password"}
	for name, c := range map[string]Call{
		"literal": call(t, at("shop:canary-password")+"/hook", "Order"), "variable": call(t, "{{HOOK}}/hook", "Order"),
		"part": call(t, at("shop:{{PASSWORD}}")+"/hook", "Order"),
	} {
		for _, transform := range []*metadata.RequestTransform{nil, {Version: 2, URL: at("shop:canary-password") + "/{{$body.action.name}}"}} {
			c.Action.Metadata.Definition.RequestTransform = transform
			_, err := New(options(t, variables)).Call(t.Context(), c)
			told := toJSON(t, public(t, err).Internal)
			if strings.Contains(told, "canary") || strings.Contains(told, "c2hvcDpjYW5hcnk") || !strings.Contains(told, masked) {
				t.Errorf("%s, transform %t: a password is told: %s", name, transform != nil, told)
			}
		}
	}
}

func TestABodyOfAFailureIsShownToAdminsAloneAndOnlyItsBeginning(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"text": strings.Repeat("inside ", 3000), "JSON": `{"message":"` + strings.Repeat("inside ", 3000) + `"}`,
	} {
		_, err := New(options(t, nil)).Call(t.Context(), call(t, answers(t, 500, body).URL, "Order"))
		e := public(t, err)
		if strings.Contains(e.Message+fmt.Sprint(e.Extensions), "inside") {
			t.Errorf("%s: clients see %.200s", name, e.Message)
		}
		told := toJSON(t, e.Internal)
		if shown := strings.Count(told, "inside") * len("inside "); shown < detailBytes-100 || shown > detailBytes {
			t.Errorf("%s: admins see %d bytes of the body", name, shown)
		}
	}
}
