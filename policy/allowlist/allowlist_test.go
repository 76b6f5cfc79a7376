package allowlist_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tenantry/api/errcode"
	"tenantry/policy/allowlist"
)

func entry(hash string, roles []string) allowlist.Entry {
	return allowlist.Entry{Shape: allowlist.Shape{Hash: hash}, Roles: roles}
}

func TestAnOperationPassesByModeRoleAndEntry(t *testing.T) {
	t.Parallel()
	entries := []allowlist.Entry{
		entry("global", nil), entry("scoped", []string{"user"}), entry("scoped", []string{"editor"}), entry("nobody", []string{}),
		entry("both", []string{"user"}), entry("both", nil),
	}
	for _, test := range []struct {
		mode allowlist.Mode
		role string
		hash string
		want allowlist.Verdict
	}{
		{"", "user", "unknown", allowlist.NotChecked},
		{allowlist.Disabled, "user", "unknown", allowlist.NotChecked},
		{allowlist.Enforce, "admin", "unknown", allowlist.NotChecked},
		{allowlist.Enforce, "user", "global", allowlist.Listed},
		{allowlist.Enforce, "user", "scoped", allowlist.Listed},
		{allowlist.Enforce, "editor", "scoped", allowlist.Listed},
		{allowlist.Enforce, "editor", "both", allowlist.Listed},
		{allowlist.Enforce, "guest", "scoped", allowlist.Refused},
		{allowlist.Enforce, "user", "nobody", allowlist.Refused},
		{allowlist.Enforce, "user", "unknown", allowlist.Refused},
		{allowlist.Enforce, "user", "", allowlist.Refused},
		{allowlist.Enforce, "", "", allowlist.Refused},
		{allowlist.Audit, "user", "unknown", allowlist.WouldRefuse},
		{allowlist.Audit, "user", "global", allowlist.Listed},
		{allowlist.IDsOnly, "user", "global", allowlist.Listed},
		{allowlist.IDsOnly, "user", "unknown", allowlist.Refused},
		{"strict", "user", "unknown", allowlist.Refused},
	} {
		got, err := allowlist.New(allowlist.Modes{Default: test.mode}, "", entries).Check(test.role, allowlist.Shape{Hash: test.hash})
		if got != test.want || (err != nil) != (test.want == allowlist.Refused) {
			t.Errorf("%+v: got %s, %v", test, got, err)
		}
	}
}

func TestARefusalTellsAdministratorsWhy(t *testing.T) {
	t.Parallel()
	check := func(err error, why string) {
		t.Helper()
		var e *errcode.Error
		if !errors.As(err, &e) || e.Code != errcode.ValidationFailed || e.Message != "query is not allowed" || fmt.Sprint(e.Internal) != "map[message:"+why+"]" {
			t.Errorf("%v", err)
		}
	}
	_, err := allowlist.New(allowlist.Modes{Default: allowlist.Enforce}, "", nil).Check("user", allowlist.Shape{Hash: "x"})
	check(err, "query is not in any of the allowlists")
	check(allowlist.New(allowlist.Modes{Default: allowlist.IDsOnly}, "", nil).CheckText("user"), "only the ids of persisted documents may be sent")
	if err := allowlist.New(allowlist.Modes{Default: allowlist.IDsOnly}, "", nil).CheckText("admin"); err != nil {
		t.Error(err)
	}
}

func TestDocumentsAreFoundByIDAndHashByThoseWhoMayUseThem(t *testing.T) {
	t.Parallel()
	hash := func(text string) string { sum := sha256.Sum256([]byte(text)); return hex.EncodeToString(sum[:]) }
	listed := allowlist.Entry{Text: "{ a }"}
	document := allowlist.Entry{ID: "d1", Text: "{ b }", Roles: []string{"user"}}
	again := allowlist.Entry{ID: "d1", Text: "{ other }", Roles: []string{"guest"}}
	for _, test := range []struct {
		mode     allowlist.Mode
		entries  []allowlist.Entry
		takes    bool
		role, id string
		want     string
	}{
		{allowlist.Enforce, []allowlist.Entry{listed}, false, "user", hash("{ a }"), ""},
		{allowlist.IDsOnly, []allowlist.Entry{listed}, true, "user", hash("{ a }"), "{ a }"},
		{allowlist.Disabled, []allowlist.Entry{listed, document}, true, "guest", hash("{ a }"), "{ a }"},
		{allowlist.Disabled, []allowlist.Entry{listed, document}, true, "user", "d1", "{ b }"},
		{allowlist.Disabled, []allowlist.Entry{listed, document}, true, "user", hash("{ b }"), "{ b }"},
		{allowlist.Disabled, []allowlist.Entry{listed, document}, true, "guest", "d1", ""},
		{allowlist.Disabled, []allowlist.Entry{listed, document}, true, "admin", "d1", "{ b }"},
		{allowlist.Disabled, []allowlist.Entry{document, again}, true, "guest", "d1", ""},
		{allowlist.IDsOnly, nil, true, "user", "", ""},
	} {
		l := allowlist.New(allowlist.Modes{Default: test.mode}, "", test.entries)
		text, ok := l.Document(test.role, test.id)
		if l.TakesIDs() != test.takes || text != test.want || ok != (test.want != "") {
			t.Errorf("%+v: takes ids %v, %q %v", test, l.TakesIDs(), text, ok)
		}
	}
}

func TestTrafficIsBoundedAndForgetsWhatIsOldest(t *testing.T) {
	t.Parallel()
	traffic := allowlist.NewTraffic()
	begin := time.Now()
	note := func(i int, role string) *allowlist.Seen {
		return traffic.Note(allowlist.Operation{Hash: fmt.Sprint(i), Text: strings.Repeat("x", 4000)}, role, begin.Add(time.Duration(i)*time.Second))
	}
	for i := range 3000 {
		note(i, "user").Again(begin.Add(time.Duration(i) * time.Second))
	}
	for i := range 100 {
		note(2999, fmt.Sprintf("role%d", i)).Again(begin.Add(2999 * time.Second))
	}
	list := traffic.Since(begin)
	bytes := 0
	for _, op := range list {
		bytes += len(op.Text)
	}
	if len(list) > 1000 || bytes > 2<<20 || len(list) < 400 {
		t.Errorf("%d operations of %d bytes", len(list), bytes)
	}
	if first := list[0]; first.Hash != "2999" || first.Count != 101 || len(first.Roles) != 20 {
		t.Errorf("the most frequent: %+v", first)
	}
	if got := traffic.Since(begin.Add(2998 * time.Second)); len(got) != 2 {
		t.Errorf("%d of the last two seconds", len(got))
	}
	if traffic.Note(allowlist.Operation{Hash: "long", Text: strings.Repeat("x", 100_000)}, "user", begin) != nil {
		t.Error("a text of any length is kept")
	}
	var none *allowlist.Seen
	none.Again(begin)
}

func TestARoleMayHaveAModeOfItsOwn(t *testing.T) {
	t.Parallel()
	modes := allowlist.Modes{Default: allowlist.Audit, PerRole: map[string]allowlist.Mode{
		"open": allowlist.Disabled, "strict": allowlist.Enforce, "ids": allowlist.IDsOnly, "admin": allowlist.Enforce,
	}}
	l := allowlist.New(modes, "", []allowlist.Entry{{Shape: allowlist.Shape{Hash: "listed"}, Text: "{ a }"}})
	for role, want := range map[string][2]allowlist.Verdict{
		"other": {allowlist.WouldRefuse, allowlist.Listed}, "open": {allowlist.NotChecked, allowlist.NotChecked},
		"strict": {allowlist.Refused, allowlist.Listed}, "ids": {allowlist.Refused, allowlist.Listed}, "admin": {allowlist.NotChecked, allowlist.NotChecked},
	} {
		unknown, _ := l.Check(role, allowlist.Shape{Hash: "unknown"})
		listed, _ := l.Check(role, allowlist.Shape{Hash: "listed"})
		if unknown != want[0] || listed != want[1] || l.Active(role) != (want[0] != allowlist.NotChecked) || (l.CheckText(role) != nil) != (role == "ids") {
			t.Errorf("%s: %s, %s, active %v, text %v", role, unknown, listed, l.Active(role), l.CheckText(role))
		}
	}
	if !l.TakesIDs() {
		t.Error("ids are not taken although a role may send nothing else")
	}
}

func TestTrafficWasNotSeenLastBeforeItWasSeenFirst(t *testing.T) {
	t.Parallel()
	noted := time.Now()
	traffic := allowlist.NewTraffic()
	// A request counts with the time at which it began, before it was prepared.
	traffic.Note(allowlist.Operation{Hash: "a"}, "user", noted).Again(noted.Add(-time.Second))
	if list := traffic.Since(noted); len(list) != 1 || list[0].Last.Before(list[0].First) {
		t.Errorf("got %+v", list)
	}
}
