package authz_test

import "testing"

func BenchmarkDecide(b *testing.B) {
	p := compile(b, `package authz
allow if input.session.role == "editor"
allow if { input.session.role == "user"; input.args.amount < 10 }
allow if input.resource.name == "other"`)
	r := request("user", map[string]any{"amount": 5})
	b.ReportAllocs()
	for b.Loop() {
		if d, err := p.Decide(b.Context(), r); err != nil || !d.Allowed {
			b.Fatal(d, err)
		}
	}
}
