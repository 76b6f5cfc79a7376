package action

import (
	"encoding/json"
	"maps"
	"slices"

	"tenantry/api/errcode"
	"tenantry/api/session"
)

// payload is the body, byte by byte as it is signed and sent: what encoding/json
// makes of a webhook.ActionPayload without escaping HTML. It is written here because
// most of it are texts and numbers, for which reflection costs more than the rest of
// a call's preparation.
func payload(call *Call) ([]byte, *errcode.Error) {
	out := make([]byte, 0, 256+len(call.Query))
	out = append(out, `{"action":{"name":`...)
	out, err := appendText(out, call.Action.Name)
	if err == nil {
		out, err = appendMembers(append(out, `},"input":`...), call.Input, appendValue)
	}
	if err == nil {
		out, err = appendMembers(append(out, `,"session_variables":`...), variables(call.Session), appendText)
	}
	if err == nil {
		out, err = appendText(append(out, `,"request_query":`...), call.Query)
	}
	return append(out, '}'), err
}

func appendValue(out []byte, value any) ([]byte, *errcode.Error) {
	switch v := value.(type) {
	case string:
		return appendText(out, v)
	case map[string]any:
		if v != nil {
			return appendMembers(out, v, appendValue)
		}
	}
	return appendEncoded(out, value)
}

// appendMembers writes an object with its members by name, as encoding/json orders
// them.
func appendMembers[V any](out []byte, members map[string]V, value func([]byte, V) ([]byte, *errcode.Error)) ([]byte, *errcode.Error) {
	var room [16]string
	names := room[:0]
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	out = append(out, '{')
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		var err *errcode.Error
		if out, err = appendText(out, name); err == nil {
			out, err = value(append(out, ':'), members[name])
		}
		if err != nil {
			return out, err
		}
	}
	return append(out, '}'), nil
}

// appendText writes a text that needs no escapes as it is.
func appendText(out []byte, text string) ([]byte, *errcode.Error) {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return appendEncoded(out, text)
		}
	}
	return append(append(append(out, '"'), text...), '"'), nil
}

func appendEncoded(out []byte, value any) ([]byte, *errcode.Error) {
	if n, ok := value.(json.Number); ok && plainNumber(string(n)) {
		return append(out, n...), nil
	}
	text, err := encode(value)
	return append(out, text...), err
}

// plainNumber reports whether encoding/json takes the text for a number, for the
// integers that most are.
func plainNumber(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return len(text) == 1 || len(text) > 1 && text[0] != '0'
}

// variables are the session variables that a handler is told. It decides by the
// role; it must be the one that was checked here.
func variables(s session.Session) map[string]string {
	if s.Variables[session.RoleVariable] == s.Role {
		return s.Variables
	}
	out := maps.Clone(s.Variables)
	if out == nil {
		out = map[string]string{}
	}
	out[session.RoleVariable] = s.Role
	return out
}
