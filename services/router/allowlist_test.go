package router_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"tenantry/services/router/socket"
	"tenantry/tenants/settings"
)

// send posts a whole body as a user.
func (s *server) send(body string, headers ...string) string {
	s.t.Helper()
	text, _ := s.postBody(body, append([]string{"Authorization", "Bearer " + tokenOf(s.t, "ann")}, headers...)...)
	return text
}

func sha(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

const (
	refusedByList = `{"errors":[{"message":"query is not allowed","extensions":{"code":"validation-failed","path":"$"}}]}`
	notADocument  = `{"errors":[{"message":"PersistedQueryNotFound","extensions":{"code":"persisted-query-not-found","path":"$"}}]}`
	noDocuments   = `{"errors":[{"message":"Automatic Persisted Queries is not enabled","extensions":{"code":"not-supported","path":"$"}}]}`
	bothOfAnn     = `{"data":{"notes":[{"id":1,"text":"one"}]}}`
)

// listed makes an allow-list of {notes{id text}} for everybody, and of the document
// doc1, {notes{text}}, for users.
func listed(s *server, documents bool) {
	s.command("create_query_collection", `{"name": "c", "definition": {"queries": [{"name": "both", "query": "{notes{id text}}"}]}}`)
	s.command("add_collection_to_allowlist", `{"collection": "c"}`)
	if documents {
		s.command("create_query_collection", `{"name": "tenantry_documents:user", "definition": {"queries": [{"name": "doc1", "query": "{notes{text}}"}]}}`)
		s.command("add_collection_to_allowlist", `{"collection": "tenantry_documents:user", "scope": {"global": false, "roles": ["user"]}}`)
	}
}

func TestModesAndMatchesOfTheAllowList(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{}, byToken(nil))
	listed(s, false)
	text := func(query string) string { return fmt.Sprintf(`{"query": %q}`, query) }
	hash := func(query string) string {
		return fmt.Sprintf(`{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": %q}}}`, sha(query))
	}
	for _, test := range []struct {
		mode, match, body, want string
	}{
		{"disabled", "exact", text(`{notes{text}}`), notesOfAnn},
		{"audit", "exact", text(`{notes{text}}`), notesOfAnn},
		{"enforce", "exact", text(`{ notes { __typename id text } }`), `{"data":{"notes":[{"__typename":"notes","id":1,"text":"one"}]}}`},
		{"enforce", "exact", text(`{notes{text}}`), refusedByList},
		{"enforce", "exact", text(`query q {notes{...f}} fragment f on notes {id text}`), refusedByList},
		{"enforce", "normalized", text(`query q {notes{...f}} fragment f on notes {id text}`), bothOfAnn},
		{"enforce", "normalized", text(`{notes{text}}`), refusedByList},
		{"enforce", "subset", text(`{notes{text}}`), notesOfAnn},
		{"enforce", "subset", text(`{notes{text owner}}`), refusedByList},
		{"enforce", "subset", text(`{__schema{types{name}}}`), refusedByList},
		{"enforce", "exact", hash(`{notes{id text}}`), noDocuments},
		{"ids_only", "exact", hash(`{notes{id text}}`), bothOfAnn},
		{"ids_only", "exact", hash(`{notes{text}}`), notADocument},
		{"ids_only", "exact", text(`{notes{id text}}`), refusedByList},
	} {
		s.configure(func(set *settings.Settings) { set.AllowlistMode, set.AllowlistMatch = test.mode, test.match })
		for range 2 { // also when it is prepared
			if got := s.send(test.body); got != test.want {
				t.Errorf("%s, %s: %s\ngot  %s\nwant %s", test.mode, test.match, test.body, got, test.want)
			}
		}
	}
	// A role may have a mode of its own, stricter or looser.
	for _, test := range []struct{ mode, own, body, want string }{
		{"disabled", "enforce", text(`{notes{text}}`), refusedByList},
		{"enforce", "disabled", text(`{notes{text}}`), notesOfAnn},
		{"enforce", "audit", text(`{notes{text}}`), notesOfAnn},
		{"audit", "ids_only", text(`{notes{id text}}`), refusedByList},
		{"disabled", "ids_only", hash(`{notes{id text}}`), bothOfAnn},
	} {
		s.configure(func(set *settings.Settings) {
			set.AllowlistMode, set.AllowlistMatch, set.AllowlistRoles = test.mode, "exact", map[string]string{"user": test.own, "other": "enforce"}
		})
		if got := s.send(test.body); got != test.want {
			t.Errorf("%s, of the role %s: %s\ngot  %s\nwant %s", test.mode, test.own, test.body, got, test.want)
		}
	}
	// An admin may send anything in every mode.
	if got, _ := s.post(`{notes{text}}`, "X-Hasura-Admin-Secret", s.secret); !strings.Contains(got, `"two"`) {
		t.Errorf("admin: %s", got)
	}
}

func TestPersistedDocumentsAreSentByID(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{}, byToken(nil))
	s.configure(func(set *settings.Settings) { set.Auth.UnauthorizedRole = "guest" })
	if got := s.send(`{"documentId": "doc1"}`); got != notADocument {
		t.Errorf("without documents: %s", got)
	}
	listed(s, true)
	apollo := func(query string) string {
		return fmt.Sprintf(`"extensions": {"persistedQuery": {"version": 1, "sha256Hash": %q}}`, sha(query))
	}
	for _, test := range []struct{ mode, name, body, want string }{
		{"disabled", "an id", `{"documentId": "doc1"}`, notesOfAnn},
		{"disabled", "a hash", `{` + apollo(`{notes{text}}`) + `}`, notesOfAnn},
		{"disabled", "a hash in capitals", `{"extensions": {"persistedQuery": {"sha256Hash": "` + strings.ToUpper(sha(`{notes{text}}`)) + `"}}}`, notesOfAnn},
		{"disabled", "an unknown id", `{"documentId": "doc2"}`, notADocument},
		{"disabled", "an unknown hash", `{` + apollo(`{notes{id}}`) + `}`, notADocument},
		{"disabled", "the text beside its id", `{"documentId": "doc1", "query": "{notes{text}}"}`, notesOfAnn},
		{"disabled", "another text beside an id", `{"documentId": "doc1", "query": "{notes{id}}"}`, `{"errors":[{"message":"the query is not that of its id","extensions":{"code":"validation-failed","path":"$"}}]}`},
		{"disabled", "a text that would register itself", `{"query": "{notes{id}}", ` + apollo(`{notes{id}}`) + `}`, `{"data":{"notes":[{"id":1}]}}`},
		{"ids_only", "a text that would register itself", `{"query": "{notes{id}}", ` + apollo(`{notes{id}}`) + `}`, refusedByList},
		{"ids_only", "a batch", `[{"documentId": "doc1"}, {"query": "{notes{text}}"}]`, `[` + notesOfAnn + `,` + refusedByList + `]`},
		{"enforce", "an id", `{"documentId": "doc1"}`, notesOfAnn},
		{"disabled", "no string", `{"documentId": 1}`, `{"errors":[{"message":"key \"documentId\": expected a string, got number","extensions":{"code":"parse-failed","path":"$"}}]}`},
	} {
		s.configure(func(set *settings.Settings) { set.AllowlistMode = test.mode })
		for range 2 {
			if got := s.send(test.body); got != test.want {
				t.Errorf("%s: %s: %s\nwant %s", test.mode, test.name, got, test.want)
			}
		}
	}
	if got, _ := s.postBody(`{"documentId": "doc1"}`); got != notADocument {
		t.Errorf("another role: %s", got)
	}
	ann := []string{"Authorization", "Bearer " + tokenOf(t, "ann")}
	if got, _ := s.get("/v1/graphql?documentId=doc1", ann...); got != notesOfAnn {
		t.Errorf("by GET: %s", got)
	}
	extensions := url.QueryEscape(`{"persistedQuery":{"version":1,"sha256Hash":"` + sha(`{notes{text}}`) + `"}}`)
	if got, _ := s.get("/v1/graphql?extensions="+extensions, ann...); got != notesOfAnn {
		t.Errorf("by GET with a hash: %s", got)
	}
	p := s.dial(newer, "/v1/graphql")
	p.send(initWith(map[string]string{"Authorization": "Bearer " + tokenOf(t, "ann")}))
	p.want(`{"type":"connection_ack"}`)
	p.send(`{"id":"1","type":"subscribe","payload":{"documentId":"doc1"}}`)
	p.want(`{"type":"next","id":"1","payload":{"data":{"notes":[{"text":"one"}]}}}`)
}

func TestSavedOperationsServeWhereOnlyIDsMayBeSent(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{}, byToken(nil))
	listed(s, false)
	s.command("create_rest_endpoint", `{"name": "both", "url": "both", "methods": ["GET"], "definition": {"query": {"collection_name": "c", "query_name": "both"}}}`)
	s.configure(func(set *settings.Settings) { set.AllowlistMode = "ids_only" })
	if got, _ := s.get("/api/rest/both", "Authorization", "Bearer "+tokenOf(t, "ann")); got != `{"notes":[{"id":1,"text":"one"}]}` {
		t.Error(got)
	}
	s.command("drop_collection_from_allowlist", `{"collection": "c"}`)
	if got, _ := s.get("/api/rest/both", "Authorization", "Bearer "+tokenOf(t, "ann")); !strings.Contains(got, "query is not allowed") {
		t.Error(got)
	}
}

func TestTrafficIsRememberedWithoutItsValues(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{}, byToken(nil))
	listed(s, false)
	s.configure(func(set *settings.Settings) { set.AllowlistMode = "audit" })
	begin := time.Now()
	for range 3 {
		s.send(`{"query": "query find($o: String) {notes(where: {text: {_eq: \"secret-one\", _neq: $o}}, limit: 77) {id}}", "variables": {"o": "secret-two"}}`)
	}
	s.send(`{"query": "{notes{id text}}"}`)    // is listed
	s.send(`{"query": "{notes{nothing}}"}`)    // is wrong
	s.post(`{slow{id}}`, "X-Hasura-Role", "x") // nobody's
	s.post(`{brief{id}}`, "X-Hasura-Admin-Secret", s.secret)
	got := s.registry.Traffic(s.project.ID, begin)
	if len(got) != 1 {
		t.Fatalf("%+v", got)
	}
	op := got[0]
	const want = `query find($o:String){notes(where:{text:{_eq:"" _neq:$o}}limit:0){id}}`
	if op.Name != "find" || op.Type != "query" || op.Count != 3 || op.Text != want || !op.Values || fmt.Sprint(op.Roles) != "[user]" {
		t.Errorf("%+v", op)
	}
	if all, _ := json.Marshal(got); strings.Contains(string(all), "secret") || strings.Contains(op.Text, "77") {
		t.Errorf("values are kept: %s", all)
	}
	if later := s.registry.Traffic(s.project.ID, time.Now().Add(time.Hour)); len(later) != 0 {
		t.Errorf("since later: %+v", later)
	}
}
