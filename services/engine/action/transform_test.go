package action

import (
	"io"
	"net/http"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tenantry/api/errcode"
	"tenantry/api/webhook"
	"tenantry/tenants/metadata"
)

// transformed is a call with the transforms given as JSON; empty is none.
func transformed(t *testing.T, url, output, request, response string) Call {
	t.Helper()
	c := call(t, url, output)
	def := &c.Action.Metadata.Definition
	for _, part := range []struct {
		text string
		into any
	}{{request, &def.RequestTransform}, {response, &def.ResponseTransform}} {
		if part.text == "" {
			continue
		}
		if err := metadata.DecodeInto([]byte(part.text), part.into); err != nil {
			t.Fatal(err)
		}
	}
	c.Input = map[string]any{"id": "7", "name": "Ada"}
	return c
}

func TestATransformedRequestIsSignedAsItIsSent(t *testing.T) {
	t.Parallel()
	const key = "kkkkkkkkkkkkkkkkkkkkkkkk"
	for name, c := range map[string]struct{ transform, method, path, body, contentType string }{
		"all parts": {
			`{"version":2,"method":"PUT","url":"{{$base_url}}/{{$body.input.id}}","query_params":{"q":"{{$body.action.name}}","none":null},
				"request_headers":{"add_headers":{"X-Role":"{{getSessionVariable(\"x-hasura-role\")}}","Content-Type":"application/vnd.x+json","Webhook-Signature":"v1,forged","Webhook-Id":"forged","Content-Length":"1"},
				"remove_headers":["user-agent","webhook-signature","webhook-id","webhook-timestamp"]},
				"body":{"action":"transform","template":"{\"name\":{{$body.input.name}},\"user\":{{$session_variables['x-hasura-user-id']}}}"}}`,
			"PUT", "/hook/7?q=placeOrder", `{"name":"Ada","user":"423"}`, "application/vnd.x+json",
		},
		"no body": {
			`{"version":2,"method":"GET","body":{"action":"remove"},"request_headers":{"add_headers":{"X-Role":"user"},"remove_headers":["Content-Type","User-Agent"]}}`,
			"GET", "/hook", "", "",
		},
		"a form": {
			`{"version":2,"body":{"action":"x_www_form_urlencoded","form_template":{"n":"{{$body.input.name}} & co"}},"request_headers":{"add_headers":{"X-Role":"user"},"remove_headers":["User-Agent"]}}`,
			"POST", "/hook", "n=Ada+%26+co", "application/x-www-form-urlencoded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got *http.Request
			var body []byte
			s := handler(t, func(w http.ResponseWriter, r *http.Request) {
				got = r
				body, _ = io.ReadAll(r.Body)
				_, _ = io.WriteString(w, `{"order_id":"7"}`)
			})
			o := options(t, map[string]string{"HANDLER": s.URL})
			o.SigningKeys = []webhook.SigningKey{{Key: []byte(key)}}
			caller := New(o)
			sent := transformed(t, "{{HANDLER}}/hook", "Order", c.transform, "")
			sent.ID = "run-1"
			for range 2 { // the second time with the compiled transform
				if _, err := caller.Call(t.Context(), sent); err != nil {
					t.Fatal(err)
				}
				if got.Method != c.method || got.URL.String() != c.path || string(body) != c.body || got.Header.Get("Content-Type") != c.contentType {
					t.Errorf("got %s %s %s %q", got.Method, got.URL, body, got.Header.Get("Content-Type"))
				}
				if got.Header.Get("X-Role") != "user" || got.Header.Get("User-Agent") != "" || got.Header.Get("Webhook-Id") != "run-1" {
					t.Errorf("headers %v", got.Header)
				}
				reference, err := standardwebhooks.NewWebhookRaw([]byte(key))
				if err != nil {
					t.Fatal(err)
				}
				if err := reference.Verify(body, got.Header); err != nil {
					t.Errorf("the signature does not fit what was sent: %v", err)
				}
			}
		})
	}
}

func TestAnAnswerIsTransformedBeforeItIsChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status                  int
		answer, transform, want string
	}{
		"a success": {200, `{"id":7,"ok":true}`, `{"version":2,"body":{"action":"transform","template":"{\"order_id\":\"{{$body.id}}-{{$response.status}}-{{$request.body.input.name}}\"}"}}`,
			`{"order_id":"7-200-Ada"}`},
		"a scalar": {200, `"x"`, `{"body":"{\"order_id\":{{$body}}}"}`, `{"order_id":"x"}`},
		"a refusal keeps its class": {422, `{"problem":"sold out"}`, `{"body":"{\"message\":{{$body.problem}},\"code\":\"sold-out\"}"}`,
			`sold-out sold out`},
		"a success that is an error": {200, `{"error":"sold out"}`, `{"error_when":"$body?.error != null","body":"{\"message\":{{$body.error}},\"extensions\":{\"code\":\"gone\"}}"}`,
			`gone sold out`},
		"a result of another shape":           {200, `{"id":7}`, `{"body":"[1]"}`, `unexpected got array for the action webhook response, expecting Order`},
		"a missing path":                      {200, `{"id":7}`, `{"body":"{{$body.gone}}"}`, `unexpected Response Transformation Failed`},
		"no JSON":                             {200, `<html>`, `{"body":"1"}`, `unexpected not a valid json response from webhook`},
		"text that the transform reads":       {200, `a, b`, `{"body":"{\"order_id\":{{$response.text}}}"}`, `{"order_id":"a, b"}`},
		"text that is no text":                {200, "a\xff", `{"body":"{\"order_id\":{{$response.text}}}"}`, `{"order_id":"a�"}`},
		"a refusal in text":                   {403, `not yours`, `{"body":"{\"message\":{{$body?.message ?? $response.text}}}"}`, `unexpected not yours`},
		"no body":                             {204, ``, `{"body":"{\"order_id\":\"{{$body == null}}\"}"}`, `{"order_id":"true"}`},
		"no body for a transform without one": {204, ``, `{"error_when":"false"}`, `unexpected not a valid json response from webhook`},
		"a server's error is not transformed": {500, `{"id":7}`, `{"body":"{{$body.gone}}"}`, `unexpected internal error`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := answers(t, c.status, c.answer)
			result, err := New(options(t, nil)).Call(t.Context(), transformed(t, s.URL, "Order", "", c.transform))
			var got string
			if err != nil {
				e := public(t, err)
				got = string(e.Code) + " " + e.Message
			} else {
				got = toJSON(t, result.Output)
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestAFailedTransformTellsAdminsWhereAndNobodySecrets(t *testing.T) {
	t.Parallel()
	const canary = "canary-5up3r-53cr3t"
	s := handler(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"order_id":"7"}`) })
	for name, c := range map[string]struct{ request, response, message, reason string }{
		"a missing path":     {`{"url":"{{$base_url}}/{{$body.gone}}"}`, "", "Request Transformation Failed", "url: Invalid Path"},
		"no URL":             {`{"url":"ftp://{{$base_url}}"}`, "", "Request Transformation Failed", "not an http or https URL"},
		"a broken template":  {`{"body":"{{"}`, "", "Request Transformation Failed", "body: Parse Error"},
		"a broken answer":    {"", `{"body":"{{ $body.gone }}"}`, "Response Transformation Failed", `"$body.gone" (line 1, column 4)`},
		"after both":         {`{"body":"{\"a\":{{$base_url}}}"}`, `{"body":"{{ $body.gone }}"}`, "Response Transformation Failed", "body: Invalid Path"},
		"a secret in a name": {`{"body":"{{ getSessionVariable($base_url) }}"}`, "", "Request Transformation Failed", "Function Error"},
		"an endless template": {`{"body":"` + strings.Repeat(`{{ range i, x := [1,2,3,4,5,6,7,8,9,10] }}`, 6) + `1` + strings.Repeat(`{{ end }}`, 6) + `"}`, "",
			"Request Transformation Failed", "Limit Error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := transformed(t, "{{HANDLER}}", "Order", c.request, c.response)
			sent.Action.Metadata.Definition.Headers = []metadata.Header{{Name: "X-Key", Value: canary}}
			_, err := New(options(t, map[string]string{"HANDLER": s.URL + "/" + canary})).Call(t.Context(), sent)
			e := public(t, err)
			internal := toJSON(t, e.Internal)
			told, ok := e.Internal.(*detail)
			if e.Code != errcode.Unexpected || e.Message != c.message || !ok || !strings.Contains(told.Reason, c.reason) {
				t.Errorf("got %s %q %s", e.Code, e.Message, internal)
			}
			if strings.Contains(internal+e.Error(), canary) {
				t.Errorf("a secret is told: %s", internal)
			}
		})
	}
}
