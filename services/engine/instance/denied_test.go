package instance

import (
	"testing"

	"tenantry/api/errcode"
	"tenantry/ops/audit"
)

func TestAHandlersOwnCodeIsNoDenial(t *testing.T) {
	t.Parallel()
	ours := errcode.New(errcode.AccessDenied, "no")
	theirs := errcode.New(errcode.AccessDenied, "no")
	theirs.Foreign = true
	for _, c := range []struct {
		name   string
		err    *errcode.Error
		want   string
		status int
	}{
		{"a refusal of ours", ours, audit.Denied, 401},
		{"the same code from a handler", theirs, audit.Failed, 400},
		{"the handler's, with a path", theirs.At("$"), audit.Failed, 400},
	} {
		trail := Trail{Err: c.err}
		if got := trail.Outcome(); got != c.want || c.err.Status() != c.status {
			t.Errorf("%s: outcome %s and status %d, want %s and %d", c.name, got, c.err.Status(), c.want, c.status)
		}
	}
}
