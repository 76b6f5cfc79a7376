package authz_test

import (
	"errors"
	"strings"
	"testing"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/authz"
)

func compile(t testing.TB, text string) *authz.Policy {
	t.Helper()
	p, err := authz.Compile(t.Context(), []authz.Module{{Name: "authz.rego", Text: text}}, []byte(`{"limit": 100, "staff": ["u1"]}`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func request(role string, args map[string]any) authz.Request {
	return authz.Request{
		Point:     authz.PointAction,
		Project:   "p1",
		Session:   session.Session{Role: role, Variables: map[string]string{"x-hasura-role": role, "x-hasura-user-id": "u1"}, Auth: session.AuthJWT, IP: "192.0.2.7"},
		Operation: authz.Operation{Type: "mutation", Name: "Place", Hash: "h1"},
		Resource:  authz.Resource{Kind: "action", Name: "placeOrder", Field: "placeOrder", Columns: []string{"order_id"}},
		Args:      args,
	}
}

func TestPoliciesDecideOnSessionArgumentsAndData(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, rules string
		args        map[string]any
		allowed     bool
	}{
		{"constant", `allow := true`, nil, true},
		{"false is a denial", `allow := false`, nil, false},
		{"undefined is a denial", `allow if input.args.absent == 1`, nil, false},
		{"a value that is not a boolean is a denial", `allow := "true"`, nil, false},
		{"arguments", `allow if input.args.amount < data.tenant.limit`, map[string]any{"amount": 99}, true},
		{"arguments over the limit", `allow if input.args.amount < data.tenant.limit`, map[string]any{"amount": 101.5}, false},
		{"nested arguments", `allow if every item in input.args.items { item.quantity <= 3 }`, map[string]any{"items": []any{map[string]any{"quantity": 3}}}, true},
		{"session variables", `allow if input.session.variables["x-hasura-user-id"] in data.tenant.staff`, nil, true},
		{"the rest of the input", `allow if {
			input.point == "action"; input.project.id == "p1"; input.session.role == "user"; input.session.auth == "jwt"; input.session.ip == "192.0.2.7"
			input.operation == {"type": "mutation", "name": "Place", "hash": "h1"}; input.resource.name == "placeOrder"; "order_id" in input.resource.columns
			input.now > 1.7e18
		}`, nil, true},
		{"regular expressions", `allow if regex.match("^[A-Z]{2}-[0-9]{4}$", input.args.code)`, map[string]any{"code": "AB-1234"}, true},
		{"a failing builtin under not is a denial", `allow if not to_number(input.args.n) > 1`, map[string]any{"n": "x"}, false},
		{"conflicting values are a denial", "allow := true if input.args.a\nallow := false if input.args.b", map[string]any{"a": true, "b": true}, false},
	} {
		p := compile(t, "package authz\n"+test.rules)
		d, _ := p.Decide(t.Context(), request("user", test.args))
		if d.Allowed != test.allowed || !d.Asked || d.ID == "" {
			t.Errorf("%s: got %+v", test.name, d)
		}
	}
}

func TestARuleThatIsMissingIsNotAskedAndAdminNeverIs(t *testing.T) {
	t.Parallel()
	p := compile(t, "package authz\nallow if input.session.role == \"nobody\"")
	if p.Asks(authz.PointOperation) || !p.Asks(authz.PointAction) || !p.Asks(authz.PointRootField) {
		t.Fatal("asks at the wrong points")
	}
	r := request("user", nil)
	r.Point = authz.PointOperation
	if d, err := p.Decide(t.Context(), r); err != nil || !d.Allowed || d.Asked {
		t.Errorf("a missing rule was asked: %+v %v", d, err)
	}
	if d, err := p.Decide(t.Context(), request(session.Admin, nil)); err != nil || !d.Allowed || d.Asked {
		t.Errorf("admin was asked: %+v %v", d, err)
	}
	none, err := authz.Compile(t.Context(), nil, nil)
	if err != nil || none.Asks(authz.PointAction) || none.Asks(authz.PointOperation) {
		t.Errorf("no modules ask: %v", err)
	}
	if d, err := none.Decide(t.Context(), request("user", nil)); err != nil || !d.Allowed || d.Asked {
		t.Errorf("no modules decide: %+v %v", d, err)
	}
	p = compile(t, "package authz\nallow_operation if input.operation.type == \"query\"")
	if d, _ := p.Decide(t.Context(), r); d.Allowed || !d.Asked {
		t.Errorf("allow_operation was not asked: %+v", d)
	}
}

func TestADenialTellsItsReasonsToAdministratorsOnly(t *testing.T) {
	t.Parallel()
	p := compile(t, `package authz
allow if input.args.amount < 10
reason contains "too much" if input.args.amount >= 10
reason contains "another" if true`)
	d, err := p.Decide(t.Context(), request("user", map[string]any{"amount": 11}))
	if err != nil || d.Allowed || strings.Join(d.Reasons, ",") != "another,too much" {
		t.Fatalf("%+v %v", d, err)
	}
	e := d.Denied("$.selectionSet.placeOrder")
	if e.Message != "not permitted" || e.Code != errcode.PermissionDenied || e.Extensions["decision_id"] != d.ID || e.Extensions["code"] != "permission-denied" {
		t.Fatalf("%+v", e)
	}
	for _, v := range e.Extensions {
		if s, _ := v.(string); strings.Contains(s, "too much") {
			t.Fatal("clients see the reasons")
		}
	}
}

func TestModulesThatMustNotPassAreRefusedWithTheirPlace(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text, message string
		row                 int
	}{
		{"syntax", "package authz\n\nallow if {", "", 3},
		{"another package", "package other\nallow := true", "package authz", 1},
		{"a package that only begins so", "package authzx\nallow := true", "package authz", 1},
		{"nothing", "", "", 0},
		{"filter as a set", "package authz\nfilter contains 1", "boolean", 2},
		{"filter with else", "package authz\nfilter if input.row.a else if input.row.b", "else", 2},
		{"default filter", "package authz\ndefault filter := true", "default filter", 2},
		{"masks of no column", "package authz\nmasks contains \"a\"", "masks", 2},
		{"allow_column with a value", "package authz\nallow_column.a := true", "boolean", 2},
		{"allow as a set", "package authz\nallow contains 1", "boolean", 2},
		{"allow as a function", "package authz\nallow(x) := true if x", "boolean", 2},
		{"allow with parts", "package authz\nallow.read := true", "boolean", 2},
		{"default true", "package authz\ndefault allow := true", "default allow", 2},
		{"reason as a value", "package authz\nreason := \"x\"", "set of strings", 2},
		{"an unused variable", "package authz\nallow if { x := 1 }", "x", 2},
		{"recursion", "package authz\nallow if allow", "recursive", 2},
		{"a failing test", "package authz\nallow if input.a\ntest_allow if allow", "test failed", 3},
		{"deep nesting", "package authz\nallow if x == " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "", 2},
		{"a long module", "package authz\nallow := true\n#" + strings.Repeat("x", 64<<10), "bytes", 0},
	} {
		_, err := authz.Compile(t.Context(), []authz.Module{{Name: "a.rego", Text: test.text}}, nil)
		var compileError *authz.CompileError
		if !errors.As(err, &compileError) {
			t.Errorf("%s: got %v", test.name, err)
			continue
		}
		p := compileError.Errors[0]
		if p.Module != "a.rego" || (test.row > 0 && (p.Row != test.row || p.Col < 1)) || !strings.Contains(p.Message, test.message) {
			t.Errorf("%s: got %+v", test.name, p)
		}
	}
}

func TestBuiltinsThatReachOutOrCannotBeBoundedDoNotCompile(t *testing.T) {
	t.Parallel()
	for _, call := range []string{
		`http.send({"method": "get", "url": "http://example.com"})`, `net.lookup_ip_addr("x")`, `net.cidr_expand("10.0.0.0/8")`, `opa.runtime()`,
		`rego.parse_module("a", "package a")`, `io.jwt.decode("x")`, `crypto.md5("x")`, `rand.intn("x", 2)`, `uuid.rfc4122("x")`, `time.now_ns()`,
		`graph.reachable({}, {})`, `walk([])`, `bits.lsh(1, 10)`, `sprintf("%d", [1])`, `numbers.range_step(1, 9, 1)`,
		`json.match_schema({}, {})`, `json.verify_schema({})`, `trace("x")`, `regex.replace("x", "y", "z")`, `glob.match("*", [], "x")`,
	} {
		_, err := authz.Compile(t.Context(), []authz.Module{{Name: "a.rego", Text: "package authz\nallow if " + call}}, nil)
		var compileError *authz.CompileError
		if !errors.As(err, &compileError) || compileError.Errors[0].Row != 2 {
			t.Errorf("%s: got %v", call, err)
		}
	}
}

func TestSeveralModulesAndSubpackagesWorkTogether(t *testing.T) {
	t.Parallel()
	p, err := authz.Compile(t.Context(), []authz.Module{
		{Name: "a.rego", Text: "package authz\nimport data.authz.orders\nallow if orders.small\ntest_small if allow with input as {\"args\": {\"n\": 1}}"},
		{Name: "b.rego", Text: "package authz.orders\nsmall if input.args.n < 5\nfilter := 1"},
	}, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if d, err := p.Decide(t.Context(), request("user", map[string]any{"n": 1})); err != nil || !d.Allowed {
		t.Errorf("%+v %v", d, err)
	}
	for _, data := range []string{`[]`, `null`, `{`, `"x"`} {
		if _, err := authz.Compile(t.Context(), []authz.Module{{Name: "a.rego", Text: "package authz"}}, []byte(data)); err == nil {
			t.Errorf("data %s was accepted", data)
		}
	}
}
