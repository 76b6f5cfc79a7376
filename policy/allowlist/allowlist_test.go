package allowlist_test

import (
	"errors"
	"fmt"
	"testing"

	"tenantry/api/errcode"
	"tenantry/policy/allowlist"
)

func TestAnOperationPassesByModeRoleAndEntry(t *testing.T) {
	t.Parallel()
	entries := []allowlist.Entry{
		{Hash: "global", Collection: "c", Name: "a"},
		{Hash: "scoped", Roles: []string{"user"}}, {Hash: "scoped", Roles: []string{"editor"}},
		{Hash: "nobody", Roles: []string{}},
		{Hash: "both", Roles: []string{"user"}}, {Hash: "both"},
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
		{allowlist.Enforce, "", "", allowlist.Refused},
		{allowlist.Audit, "user", "unknown", allowlist.WouldRefuse},
		{allowlist.Audit, "user", "global", allowlist.Listed},
		{"strict", "user", "unknown", allowlist.Refused},
	} {
		got, err := allowlist.New(test.mode, entries).Check(test.role, allowlist.Shape{Hash: test.hash})
		if got != test.want || (err != nil) != (test.want == allowlist.Refused) {
			t.Errorf("%+v: got %s, %v", test, got, err)
		}
	}
}

func TestARefusalTellsAdministratorsWhy(t *testing.T) {
	t.Parallel()
	_, err := allowlist.New(allowlist.Enforce, nil).Check("user", allowlist.Shape{Hash: "x"})
	var e *errcode.Error
	if !errors.As(err, &e) || e.Code != errcode.ValidationFailed || e.Message != "query is not allowed" {
		t.Fatalf("%v", err)
	}
	if got := fmt.Sprint(e.Internal); got != "map[message:query is not in any of the allowlists]" {
		t.Errorf("internal: %s", got)
	}
}
