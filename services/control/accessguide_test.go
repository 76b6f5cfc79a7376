package control_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var guideBlock = regexp.MustCompile("(?s)```json (\\w+)\n(.*?)```")

// TestTheGuideToAccessIsTrue makes the calls of the guide, in their order, and
// compares what it says of the answers: what it leaves out may be anything.
func TestTheGuideToAccessIsTrue(t *testing.T) {
	t.Parallel()
	guide := must(os.ReadFile("../../ops/docs/access.md"))(t)
	s := start(t)
	tenant, owner := s.tenant("Guide")
	project := s.project(tenant, owner, "guide")
	tenantSQL(t, s, project, `CREATE TABLE orders (id int PRIMARY KEY, user_id int, total int, secret text);
		INSERT INTO orders VALUES (1, 7, 10, ''), (2, 8, 20, ''), (3, 7, 30, '')`)
	s.want(200, owner, "POST", project+"/tables:track", `{"tables":[{"schema":"public","name":"orders"}]}`)
	s.want(200, owner, "PUT", project+"/tables/public.orders", `{"select_permissions":[{"role":"user","permission":{"columns":["id","total"],"filter":{"user_id":{"_eq":"X-Hasura-User-Id"}}}}]}`)
	s.want(201, owner, "POST", project+"/actions", `{"name":"placeOrder","definition":"type Mutation { placeOrder(total: Int!): Placed }  type Placed { id: Int }","handler":"http://127.0.0.1:1/","permissions":["user"],
		"relationships":[{"type":"Placed","name":"order","kind":"object","table":"orders","mapping":{"id":"id"}}]}`)
	calls, answers := 0, 0
	var last answer
	for _, block := range guideBlock.FindAllStringSubmatch(string(guide), -1) {
		switch block[1] {
		case "call":
			calls++
			line, body, _ := strings.Cut(block[2], "\n")
			method, path, _ := strings.Cut(line, " ")
			last = s.want(200, owner, method, project+path, strings.TrimSpace(body))
		case "answer":
			answers++
			var want any
			if err := json.Unmarshal([]byte(block[2]), &want); err != nil {
				t.Fatal(err)
			}
			if missing := lacking(last.json(t), want, ""); missing != "" {
				t.Errorf("%s\nof %s", missing, last.text)
			}
		default:
			t.Errorf("a block of the kind %q is not run", block[1])
		}
	}
	if all := strings.Count(string(guide), "```json"); calls < 5 || answers < 4 || calls+answers != all {
		t.Errorf("%d calls and %d answers of %d blocks", calls, answers, all)
	}
	// The calls of the table of questions exist.
	for _, question := range regexp.MustCompile("`GET (/access/[^`]+)`").FindAllStringSubmatch(string(guide), -1) {
		if a := s.call(owner, "GET", project+question[1], ""); a.status == 404 && !strings.Contains(question[1], "/actions/") {
			t.Errorf("%s: %s", question[1], a.text)
		}
	}
}

// lacking tells where an answer is not as wanted: objects may have more members.
func lacking(got, want any, at string) string {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s: expected an object", at)
		}
		for name, v := range want {
			if missing := lacking(object[name], v, at+"/"+name); missing != "" {
				return missing
			}
		}
		return ""
	case []any:
		list, _ := got.([]any)
		if len(list) != len(want) {
			return fmt.Sprintf("%s: got %d, want %d", at, len(list), len(want))
		}
		for i := range want {
			if missing := lacking(list[i], want[i], fmt.Sprint(at, "/", i)); missing != "" {
				return missing
			}
		}
		return ""
	}
	if got != want {
		return fmt.Sprintf("%s: got %v, want %v", at, got, want)
	}
	return ""
}
