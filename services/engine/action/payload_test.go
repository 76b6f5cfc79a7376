package action

import (
	"encoding/json"
	"strings"
	"testing"

	"tenantry/api/session"
	"tenantry/api/webhook"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

func FuzzThePayloadIsWhatTheEncoderWrites(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"id":1}`, `{"b":[1,{"x":"y"}],"a":{"z":null,"k":true},"c":0,"d":-1.5e3,"e":"tab\t","f":"<&>","ü":"名"}`, `{"n":00}`, `{"a":"\u2028\ud800"}`,
	} {
		f.Add(seed, "user", "query { a }")
	}
	f.Fuzz(func(t *testing.T, input, role, query string) {
		d := map[string]any{}
		if unmarshal(input, &d) != nil {
			return
		}
		call := &Call{
			Action: &model.Action{Metadata: &metadata.Action{Name: "act"}, Name: "act"}, Input: d, Query: query,
			Session: session.Session{Role: role, Variables: map[string]string{"x-hasura-user-id": query, "x-a": role}},
		}
		got, err := payload(call)
		if err != nil {
			t.Fatal(err)
		}
		want, err := encode(webhook.ActionPayload{
			Action: webhook.ActionName{Name: "act"}, Input: d, SessionVariables: variables(call.Session), RequestQuery: query,
		})
		if err != nil || string(got) != string(want) {
			t.Errorf("got  %s\nwant %s (%v)", got, want, err)
		}
	})
}

func unmarshal(text string, into *map[string]any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return d.Decode(into)
}
