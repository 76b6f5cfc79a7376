package action

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/api/webhook"
	"tenantry/policy/delegation"
	"tenantry/tenants/metadata"
)

// ignoredClientHeaders are the client's headers that are not forwarded unless
// an action has a list of its own. In canonical form.
var ignoredClientHeaders = set(
	"Content-Length", "Content-MD5", "User-Agent", "Host", "Origin", "Referer", "Accept",
	"Accept-Encoding", "Accept-Language", "Accept-Datetime", "Cache-Control", "Connection",
	"DNT", "Content-Type",
)

// transportHeaders describe the connection or the encoding of a body. They
// belong to the transport; neither a client nor a tenant can set them.
var transportHeaders = set(
	"Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Expect", "Keep-Alive",
	"Proxy-Authorization", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
)

// identityHeaders are what a handler trusts to be ours; neither a client nor a
// tenant can set them.
var identityHeaders = set(
	webhook.HeaderID, webhook.HeaderTimestamp, webhook.HeaderSignature, webhook.HeaderDelegation, webhook.HeaderCompletion, webhook.HeaderProbe,
)

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[http.CanonicalHeaderKey(name)] = true
	}
	return m
}

// headers merges the three origins by name: the engine's win over one of the
// others and lose to the other, as the project has it.
func (x *exchange) headers(def *metadata.ActionDefinition) (http.Header, *errcode.Error) {
	configured, err := x.configured(def.Headers)
	if err != nil {
		return nil, err
	}
	merged := x.engine()
	over, under := configured, x.forwarded(def)
	if !x.caller.ConfiguredFirst {
		over, under = under, over
	}
	maps.Copy(merged, over)
	for name, values := range under {
		if _, taken := merged[name]; !taken {
			merged[name] = values
		}
	}
	return merged, nil
}

// configured are the action's own headers, with variables filled in. All
// mistakes are told at once.
func (x *exchange) configured(headers []metadata.Header) (http.Header, *errcode.Error) {
	if len(headers) == 0 {
		return nil, nil
	}
	out := http.Header{}
	var mistakes []string
	for _, h := range headers {
		value, mistake := x.value(h)
		switch name := http.CanonicalHeaderKey(h.Name); {
		case mistake != "":
			mistakes = append(mistakes, mistake)
		case !webhook.ValidHeaderName(h.Name):
			mistakes = append(mistakes, "header "+strconv.Quote(h.Name)+" has a name that HTTP does not allow")
		case !webhook.ValidHeaderValue(value):
			mistakes = append(mistakes, "header "+strconv.Quote(h.Name)+" has a value that HTTP does not allow (a line break or control character)")
		case !transportHeaders[name] && !identityHeaders[name]:
			out[name] = append(out[name], value)
		}
	}
	if len(mistakes) > 0 {
		return nil, x.misconfigured(strings.Join(mistakes, "; "))
	}
	return out, nil
}

// value finds the value of a configured header, or says why there is none.
func (x *exchange) value(h metadata.Header) (value, mistake string) {
	if h.ValueFromEnv != "" {
		value, ok := x.caller.Variables(h.ValueFromEnv)
		if !ok {
			return "", "header " + strconv.Quote(h.Name) + " names a variable that is not set: " + list([]string{h.ValueFromEnv})
		}
		return value, ""
	}
	value, missing := x.caller.Expand(h.Value)
	if len(missing) > 0 {
		return "", "header " + strconv.Quote(h.Name) + " names variables that are not set: " + list(missing)
	}
	return value, ""
}

// engine are the headers of every call, but for the signature, which needs the
// body.
func (x *exchange) engine() http.Header {
	out := make(http.Header, 12) // room for all that follow
	x.set(out, "Content-Type", "application/json")
	x.set(out, "User-Agent", x.caller.agent)
	requestID := x.call.RequestID
	if requestID == "" || !webhook.ValidHeaderValue(requestID) {
		requestID = newID()
	}
	x.set(out, webhook.HeaderRequestID, requestID)
	trace := x.call.TraceParent
	if trace == "" || !webhook.ValidHeaderValue(trace) {
		trace = webhook.NewTrace()
	}
	x.set(out, webhook.HeaderTrace, trace)
	if state := x.traceState(); state != "" {
		x.set(out, webhook.HeaderTraceState, state)
	}
	return out
}

// set sets a header, whose name is in canonical form, to one value. The lists of
// values share memory: most calls have the same few headers.
func (x *exchange) set(headers http.Header, name, value string) {
	if x.used == len(x.values) {
		headers[name] = []string{value}
		return
	}
	x.values[x.used] = value
	x.used++
	headers[name] = x.values[x.used-1 : x.used : x.used]
}

// traceState passes the trace's state on, with how many handlers stand before the
// next one. It goes with the client's trace alone, as the specification demands.
func (x *exchange) traceState() string {
	own := delegation.TraceMember + "=d:" + strconv.Itoa(x.call.Session.Depth+1)
	if x.call.TraceParent == "" || !webhook.ValidHeaderValue(x.call.TraceParent) {
		return own
	}
	out := append(make([]string, 0, 4), own)
	for _, h := range x.call.ClientHeaders {
		if !strings.EqualFold(h.Name, webhook.HeaderTraceState) || !webhook.ValidHeaderValue(h.Value) {
			continue
		}
		for member := range strings.SplitSeq(h.Value, ",") {
			member = strings.TrimSpace(member)
			if member != "" && !strings.HasPrefix(member, delegation.TraceMember+"=") && len(out) < maxTraceMembers {
				out = append(out, member)
			}
		}
	}
	return strings.Join(out, ",")
}

// maxTraceMembers is what the specification allows.
const maxTraceMembers = 32

// forwarded are the client's headers that the action asks for. The session
// travels in the body, where a client cannot write, and never as headers.
func (x *exchange) forwarded(def *metadata.ActionDefinition) http.Header {
	if !def.ForwardClientHeaders {
		return nil
	}
	out := http.Header{}
	ignored := ignoredClientHeaders
	if def.IgnoredClientHeaders != nil {
		ignored = set(def.IgnoredClientHeaders...)
	}
	hop := connectionOptions(x.call.ClientHeaders)
	for _, h := range x.call.ClientHeaders {
		name := http.CanonicalHeaderKey(h.Name)
		if ignored[name] || hop[name] || !forwardable(name, h) {
			continue
		}
		out[name] = append(out[name], h.Value)
	}
	return out
}

// connectionOptions are the headers that the client's Connection names: they are
// meant for the next hop alone, and who forwards drops them (RFC 9110 §7.6.1).
// Nil for none.
func connectionOptions(headers []graphqlhttp.Header) map[string]bool {
	var out map[string]bool
	for _, h := range headers {
		if !strings.EqualFold(h.Name, "Connection") {
			continue
		}
		for option := range strings.SplitSeq(h.Value, ",") {
			if out == nil {
				out = map[string]bool{}
			}
			out[http.CanonicalHeaderKey(strings.TrimSpace(option))] = true
		}
	}
	return out
}

// forwardable says whether any action may have the header forwarded. Handlers
// behind CGI-like interfaces cannot tell _ from -, so neither is told here.
func forwardable(canonical string, h graphqlhttp.Header) bool {
	if canonical == "Host" || transportHeaders[canonical] || !webhook.ValidHeaderName(h.Name) || !webhook.ValidHeaderValue(h.Value) {
		return false
	}
	hyphened := strings.ReplaceAll(h.Name, "_", "-")
	return !identityHeaders[http.CanonicalHeaderKey(hyphened)] && !session.IsVariable(hyphened)
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
