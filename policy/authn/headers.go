package authn

import (
	"strings"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/tenants/settings"
)

const (
	adminSecretHeader = "x-hasura-admin-secret"
	accessKeyHeader   = "x-hasura-access-key"
	backendOnlyHeader = "x-hasura-use-backend-only-permissions"
)

// clientVariables collects the x-hasura-* headers, names in lower case. A header
// that is present and empty is a variable with the empty string.
func clientVariables(h Headers) map[string]string {
	variables := map[string]string{}
	h.All(func(name, value string) {
		if !session.IsVariable(name) {
			return
		}
		name = strings.ToLower(name)
		if name != adminSecretHeader && name != accessKeyHeader {
			variables[strings.Clone(name)] = strings.Clone(value)
		}
	})
	return variables
}

// repeated is a header that says who asks and is there more than once, or "".
// Whoever passed the request on may have looked at another one of them.
func repeated(h Headers) (name string) {
	first := "" // of most requests the only one
	var others map[string]bool
	h.All(func(one, _ string) {
		switch {
		case name != "" || !session.IsVariable(one) && !strings.EqualFold(one, "authorization"):
		case first == "":
			first = one
		case strings.EqualFold(one, first):
			name = strings.ToLower(one)
		default:
			one = strings.ToLower(one)
			if others[one] {
				name = one
			}
			if others == nil {
				others = map[string]bool{}
			}
			others[one] = true
		}
	})
	return name
}

// bearer returns the token of a well-formed Authorization header.
func bearer(h Headers) (string, bool) {
	value, present := h.Lookup("authorization")
	if !present {
		return "", false
	}
	scheme, token, ok := strings.Cut(strings.TrimSpace(value), " ")
	token = strings.TrimSpace(token)
	if !ok || !strings.EqualFold(scheme, "bearer") || token == "" || strings.IndexByte(token, ' ') >= 0 || strings.IndexByte(token, '\t') >= 0 {
		return "", false
	}
	return token, true
}

// locate finds a token where the settings say it is.
func locate(h Headers, at settings.JWTHeader) (token string, present bool, err error) {
	switch at.Type {
	case "Cookie":
		line, present := h.Lookup("cookie")
		if !present {
			return "", false, nil
		}
		for pair := range strings.SplitSeq(line, ";") {
			name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
			if ok && name == at.Name {
				value = strings.Trim(value, `"`)
				return value, value != "", nil
			}
		}
		return "", false, nil
	case "CustomHeader":
		value, present := h.Lookup(at.Name)
		value = strings.TrimSpace(value)
		return value, present && value != "", nil
	default:
		if _, present := h.Lookup("authorization"); !present {
			return "", false, nil
		}
		token, ok := bearer(h)
		if !ok {
			return "", false, errcode.New(errcode.InvalidHeaders, "Malformed Authorization header")
		}
		return token, true, nil
	}
}
