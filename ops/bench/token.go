package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
)

// token is an HS256 JWT of a signed-in user.
func token(key, role string, user int64) string {
	payload, err := json.Marshal(map[string]any{
		"sub": strconv.FormatInt(user, 10), "exp": time.Now().Add(24 * time.Hour).Unix(),
		"https://hasura.io/jwt/claims": map[string]any{
			"x-hasura-default-role": role, "x-hasura-allowed-roles": []string{role}, "x-hasura-user-id": strconv.FormatInt(user, 10),
		},
	})
	if err != nil {
		panic(err) // texts and numbers
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(payload)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}
