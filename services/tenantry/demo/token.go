package demo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"tenantry/tenants/settings"
)

// tokenLife is how long the shown tokens are good; every start makes new ones.
const tokenLife = 30 * 24 * time.Hour

// token makes an HS256 JWT as the demo tenant's own login would.
func token(key string, expires time.Time, role, user string) string {
	claims := map[string]any{"x-hasura-default-role": role, "x-hasura-allowed-roles": []string{role}}
	if user != "" {
		claims["x-hasura-user-id"] = user
	}
	payload, _ := json.Marshal(map[string]any{ // texts and numbers always encode
		"sub": role + user, "iat": time.Now().Unix(), "exp": expires.Unix(), settings.DefaultNamespace: claims,
	})
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(payload)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}
