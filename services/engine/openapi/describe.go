package openapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"tenantry/api/webhook"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// Describe writes the OpenAPI 3.1 document of an action's handler, as JSON: what it
// is sent, by which headers it knows the sender, and what it may answer. Values of
// configured headers and credentials in URLs are not in it.
func Describe(doc *metadata.Document, action string) ([]byte, error) {
	c, err := contractOf(doc, action)
	if err != nil {
		return nil, err
	}
	d := &c.action.Definition
	s := &schemas{c, map[string]any{}}
	server, path := addressOf(d.Handler)
	operation := map[string]any{
		"operationId": c.action.Name, "summary": summary(c.action), "parameters": headers(d),
		"responses": s.responses(d), "security": []any{map[string]any{"signature": []string{}}},
	}
	describe(operation, c.action.Comment)
	method := strings.ToLower(http.MethodPost)
	if body := s.request(d); body != nil {
		operation["requestBody"] = body
	}
	if t := d.RequestTransform; t != nil && t.Method != "" {
		method = strings.ToLower(t.Method)
	}
	out := map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]any{"title": "Handler of the action " + c.action.Name, "version": "1"},
		"paths":   map[string]any{path: map[string]any{method: operation}},
		"components": map[string]any{
			"schemas": s.components,
			"securitySchemes": map[string]any{"signature": map[string]any{
				"type": "apiKey", "in": "header", "name": strings.ToLower(webhook.HeaderSignature),
				"description": "HMAC-SHA256 with a signing secret of the project over {webhook-id}.{webhook-timestamp}.{body}, as standardwebhooks.com says.",
			}},
		},
	}
	if server != nil {
		out["servers"] = []any{server}
	}
	return json.MarshalIndent(out, "", "  ")
}

func summary(a *metadata.Action) string {
	kind := "mutation"
	if a.Definition.Type == "query" {
		kind = "query"
	}
	return "A client called the " + kind + " " + a.Name
}

// addressOf splits a handler's URL into server and path. Variables of the project
// become those of the server; a URL that can't be split has no server.
func addressOf(handler string) (server map[string]any, path string) {
	if base, rest, ok := strings.Cut(handler, "}}"); ok && strings.HasPrefix(base, "{{") && !strings.Contains(rest, "{{") {
		name := strings.TrimSpace(base[2:])
		if u, err := url.Parse(rest); err == nil && model.ValidName(name) && (rest == "" || strings.HasPrefix(rest, "/")) {
			return map[string]any{"url": "{" + name + "}", "variables": map[string]any{name: map[string]any{
				"default": "https://handler.example.com", "description": "A variable of the project.",
			}}}, pathOf(u)
		}
	}
	u, err := url.Parse(handler)
	if err != nil || u.Host == "" || strings.ContainsAny(handler, "{}") {
		return nil, "/"
	}
	return map[string]any{"url": u.Scheme + "://" + u.Host}, pathOf(u)
}

func pathOf(u *url.URL) string {
	if path := u.EscapedPath(); path != "" {
		return path
	}
	return "/"
}

// headers are those of every call.
func headers(d *metadata.ActionDefinition) []any {
	var out []any
	add := func(name, description string, required bool, schema map[string]any) {
		out = append(out, map[string]any{
			"name": strings.ToLower(name), "in": "header", "required": required, "description": description, "schema": schema,
		})
	}
	text := map[string]any{"type": "string"}
	add(webhook.HeaderID, "The same for every delivery of one call.", true, text)
	add(webhook.HeaderTimestamp, "Unix seconds of this delivery. Refuse what is more than five minutes away.", true, map[string]any{"type": "string", "pattern": "^[0-9]+$"})
	add(webhook.HeaderSignature, "v1,{base64}: one for each active signing secret, with spaces between them. Refuse the call with 401 when none fits.", true,
		map[string]any{"type": "string", "pattern": "^v1,[A-Za-z0-9+/]+=*( v1,[A-Za-z0-9+/]+=*)*$"})
	add(webhook.HeaderRequestID, "Identifies the client's request in logs.", true, text)
	add(webhook.HeaderTrace, "W3C trace context.", true, text)
	add(webhook.HeaderTraceState, "Goes with traceparent; pass both on when calling back.", true, text)
	add(webhook.HeaderDelegation, "Authorization: Bearer {this} calls the project's GraphQL back as the caller.", false, text)
	if d.Kind == "asynchronous" {
		add(webhook.HeaderCompletion, "The token by which a run that was answered with 202 is completed.", false, text)
	}
	add(webhook.HeaderIdempotencyKey, "The client's key; the same key means the same call.", false, text)
	for _, h := range d.Headers {
		if name := strings.ToLower(h.Name); name != "content-type" && name != "authorization" && name != "accept" {
			add(h.Name, "Configured with the action.", false, text)
		}
	}
	return out
}

// request is the body of a call; nil when a transform takes it away.
func (s *schemas) request(d *metadata.ActionDefinition) any {
	t := d.RequestTransform
	payload := s.payload(d)
	kind := "application/json"
	description := "The call. Its input has one member for each argument that the client gave."
	if t != nil && t.Body != nil {
		if t.Body.Action == metadata.BodyRemove {
			return nil
		}
		if t.Body.Action == metadata.BodyForm {
			kind = "application/x-www-form-urlencoded"
		}
		payload = map[string]any{"description": "What the action's request_transform makes of the call."}
		description = "What the action's request_transform makes of the call."
	}
	return map[string]any{"required": true, "description": description, "content": map[string]any{kind: map[string]any{"schema": payload}}}
}

func (s *schemas) payload(d *metadata.ActionDefinition) map[string]any {
	input := map[string]any{}
	s.object(input, "The arguments.", d.Arguments)
	input["additionalProperties"] = false
	text := map[string]any{"type": "string"}
	return map[string]any{
		"type": "object", "required": []string{"action", "input", "session_variables", "request_query"},
		"properties": map[string]any{
			"action": map[string]any{"type": "object", "required": []string{"name"},
				"properties": map[string]any{"name": map[string]any{"type": "string", "const": s.action.Name}}},
			"input": input,
			"session_variables": map[string]any{"type": "object", "additionalProperties": text, "required": []string{"x-hasura-role"},
				"properties":  map[string]any{"x-hasura-role": text},
				"description": "Who calls, as it was checked: x-hasura-role, x-hasura-user-id and the other session variables, in lower case."},
			"request_query": map[string]any{"type": "string", "description": "The client's GraphQL, verbatim; may be empty."},
		},
	}
}

// responses are the answers that the contract knows.
func (s *schemas) responses(d *metadata.ActionDefinition) map[string]any {
	output := any(map[string]any{"description": "What the action's response_transform reads."})
	if ref, err := model.ParseTypeRef(d.OutputType); err == nil && (d.ResponseTransform == nil || d.ResponseTransform.Body == nil) {
		output = s.of(ref)
	}
	refusal := map[string]any{"type": "object", "required": []string{"message"}, "properties": map[string]any{
		"message":    map[string]any{"type": "string", "description": "The client sees it."},
		"code":       map[string]any{"type": "string", "description": "extensions.code of the client's error, where there are no extensions."},
		"extensions": map[string]any{"type": "object", "description": "The client sees them as they are."},
	}}
	answer := func(description string, schema any) map[string]any {
		return map[string]any{"description": description, "content": map[string]any{"application/json": map[string]any{"schema": schema}}}
	}
	out := map[string]any{
		"200": answer("The result. Members that the contract does not know are ignored.", output),
		"4XX": answer("The handler refuses; the client sees why.", refusal),
		"5XX": map[string]any{"description": "The handler failed; the client sees an internal error."},
	}
	if d.Kind == "asynchronous" {
		out["202"] = answer("The result follows: POST /v1/actions/{webhook-id}/complete with the completion token.", map[string]any{
			"type": "object", "required": []string{"status"}, "properties": map[string]any{"status": map[string]any{"const": "pending"}},
		})
	}
	if d.Expose5xxMessage {
		out["5XX"] = answer("The handler failed; the client sees the message.", refusal)
	}
	return out
}
