package policytest

// tenant is what policies see as data.tenant.
const tenant = `{
	"limit": 3, "ratio": 1.5, "name": "acme", "nothing": null, "odd": 2.5, "flag": true,
	"orgs": ["acme", "ünï", 3, null], "numbers": [1, 3, 5.5, "2", true], "levels": {"low": 1, "high": 4}, "empty": [],
	"members": [
		{"user": "u1", "org": "acme", "min": 2}, {"user": "u1", "org": "globex"}, {"user": "u2", "org": "ünï", "off": true},
		{"user": "u2", "org": "acme", "min": 4}, {"user": "u3"}
	],
	"fine": 0.1000000000000000055, "huge": 1e30, "fines": [0.1000000000000000055, 1.50, 3e0],
	"uids": ["6f1c0e4e-9f53-4a52-8f3c-0d6f1a2b3c4d", "FFFFFFFF-ffff-ffff-ffff-ffffffffffff", "x"]
}`

// sessions are variables of sessions; the last ones are nearly empty.
var sessions = []map[string]string{
	{"x-hasura-role": "user", "x-hasura-user-id": "u1", "x-hasura-org": "acme", "x-hasura-n": "3", "x-hasura-uid": "6f1c0e4e-9f53-4a52-8f3c-0d6f1a2b3c4d", "x-hasura-state": "live"},
	{"x-hasura-role": "user", "x-hasura-user-id": "u2", "x-hasura-org": "ünï", "x-hasura-n": "-1", "x-hasura-uid": "FFFFFFFF-ffff-ffff-ffff-ffffffffffff", "x-hasura-state": "none"},
	{"x-hasura-role": "user", "x-hasura-user-id": "", "x-hasura-org": "Ä", "x-hasura-n": "2.5", "x-hasura-uid": "not one"},
	{"x-hasura-role": "user", "x-hasura-user-id": "NULL"},
	{"x-hasura-role": "user"},
	{},
}

// policy is the text after the package line. shape is the form of the design that
// it is of; nulls says that NULL is given to OPA as null, because the policy asks
// for that.
type policy struct {
	shape, text string
	nulls       bool
}

const claim = `input.session.variables["x-hasura-user-id"]`

var written = []policy{
	{shape: "column and session term", text: `filter if input.row.owner == input.session.variables["x-hasura-user-id"]`},
	{shape: "column and session term", text: `filter if { u := input.session.variables["x-hasura-org"]; input.row.org == u }`},
	{shape: "column and session term", text: `filter if input.row.uid == input.session.variables["x-hasura-uid"]`},
	{shape: "column and session term", text: `filter if input.row.state == input.session.variables["x-hasura-state"]`},
	{shape: "comparison", text: `filter if { input.row.n > 2; input.row.big != 3 }`},
	{shape: "comparison", text: `filter if { input.row.n <= 3; input.row.price >= 1.5 }` + "\nfilter if { input.row.ratio < 0.5 }"},
	{shape: "comparison", text: `filter if input.row.title < "a"` + "\n" + `filter if "z" <= input.row.title`},
	{shape: "comparison", text: `filter if input.row.title != input.session.variables["x-hasura-org"]`},
	{shape: "comparison", text: `filter if not input.row.uid != input.session.variables["x-hasura-uid"]`},
	{shape: "comparison", text: `filter if input.row.big == 9007199254740993`},
	{shape: "comparison", text: `filter if input.row.title == input.row.owner` + "\nfilter if input.row.n < input.row.big"},
	{shape: "alias", text: `filter if { v := input.row.title; u := input.row.owner; v != u }`},
	{shape: "alias", text: `filter if { v := input.row.title; not input.row.public; v == v }`},
	{shape: "alias", text: `filter if { v := input.row.n; not v > 3 }`},
	{shape: "alias", text: `filter if { limit := data.tenant.limit; not input.row.n > limit }`},
	{shape: "bare term", text: `filter if input.row.public`},
	{shape: "bare term", text: `filter if { input.row.title; not input.row.public; input.row.author }`},
	{shape: "null", text: `filter if input.row.title == null`, nulls: true},
	{shape: "null", text: `filter if { input.row.title != null; not input.row.owner == null }`, nulls: true},
	{shape: "null", text: `filter if input.row.title != null`},
	{shape: "negation", text: `filter if not input.row.title == "a"`},
	{shape: "negation", text: `filter if not input.row.n > 3`},
	{shape: "negation", text: `filter if not input.row.owner == input.session.variables["x-hasura-user-id"]`},
	{shape: "negation", text: `filter if { not mine; input.row.n > 0 }` + "\nmine if input.row.owner == " + claim + "\nmine if input.row.title == " + claim},
	{shape: "negation", text: `filter if not shown` + "\nshown if { input.row.public; input.row.n > 2 }"},
	{shape: "negation", text: `filter if { not big; not input.row.hidden }` + "\nbig if { input.row.n > 2; input.row.title != \"a\" }"},
	{shape: "negation", text: `filter if not a` + "\na if not b\nb if not input.row.public"},
	{shape: "membership", text: `filter if input.row.org in {"acme", "ünï"}`},
	{shape: "membership", text: `filter if not input.row.n in [1, 2, 3]`},
	{shape: "membership", text: `filter if input.row.org in data.tenant.orgs`},
	{shape: "membership", text: `filter if { not input.row.n in data.tenant.numbers; input.row.n in data.tenant.levels }` + "\nfilter if input.row.n in data.tenant.numbers"},
	{shape: "membership", text: `filter if input.row.uid in data.tenant.uids` + "\nfilter if input.row.title in data.tenant.empty\nfilter if input.row.title in data.tenant.missing"},
	{shape: "membership", text: `filter if input.row.state in {"live", "gone"}`},
	{shape: "text function", text: `filter if startswith(input.row.title, "a")` + "\nfilter if endswith(input.row.title, \"b\")"},
	{shape: "text function", text: `filter if contains(input.row.title, "%_")` + "\nfilter if contains(input.row.owner, input.session.variables[\"x-hasura-org\"])"},
	{shape: "text function", text: `filter if lower(input.row.title) == "ä"` + "\nfilter if upper(input.row.owner) == \"AB\""},
	{shape: "text function", text: `filter if not startswith(input.row.title, input.row.owner)`},
	{shape: "text function", text: `filter if lower(input.row.org) == lower(input.row.author.org)`},
	{shape: "text function", text: `filter if lower(input.row.org) < lower(input.session.variables["x-hasura-org"])`},
	{shape: "some over a relationship", text: `filter if { some c in input.row.comments; c.public; c.stars > 2 }`},
	{shape: "some over a relationship", text: `filter if { some c in input.row.comments; some d in input.row.comments; c.stars == 1; d.body == c.body; d.stars == 3 }`},
	{shape: "some over a relationship", text: `filter if { some c in input.row.comments; not c.public }`},
	{shape: "some over a relationship", text: `filter if { some c in input.row.comments; some r in c.replies; r.stars > c.stars }`},
	{shape: "some over a relationship", text: `filter if { some c in input.row.comments; c.author.org == input.row.org }`},
	{shape: "some over a relationship", text: `filter if input.row.comments[_].stars > 3`},
	{shape: "some over a relationship", text: `filter if not loved` + "\nloved if { some c in input.row.comments; c.stars > 2; c.public }"},
	{shape: "hop", text: `filter if input.row.author.org == input.row.org`},
	{shape: "hop", text: `filter if { input.row.author.age > 2; input.row.author.boss.active }`},
	{shape: "hop", text: `filter if not input.row.author.active`},
	{shape: "hop", text: `filter if { a := input.row.author; not a.active }`},
	{shape: "every", text: `filter if every c in input.row.comments { c.stars > 1 }`},
	{shape: "every", text: `filter if { every c in input.row.comments { not c.public; c.stars < 4 }; input.row.n > 1 }`},
	{shape: "every", text: `filter if every c in input.row.comments { some r in c.replies; r.stars == input.row.n }`},
	{shape: "every", text: `filter if not quiet` + "\nquiet if every c in input.row.comments { c.author.org == input.row.org }"},
	{shape: "rule", text: `default open := false` + "\nopen if input.row.public\nfilter if not open\nfilter if { open; input.row.n > 3 }"},
	{shape: "rule", text: `default open := false` + "\nopen if input.row.public\nfilter if open == false"},
	{shape: "rule", text: `own(r) if r.org == input.session.variables["x-hasura-org"]` + "\nfilter if own(input.row.author)\nfilter if { some c in input.row.comments; own(c.author) }"},
	{shape: "rule", text: `same(x, y) if x == y` + "\nsame(x, _) if x == \"a\"\nfilter if same(input.row.title, input.row.owner)"},
	{shape: "rule", text: `first := input.row.author.name` + "\nfilter if first == \"a\"\nfilter if not first"},
	{shape: "rule", text: `above(r, most) if r.n > most` + "\nfilter if { above(input.row, data.tenant.limit) }\nfilter if not above(input.row, to_number(input.session.variables[\"x-hasura-n\"]))"},
	{shape: "rule", text: `filter := input.row.public == true`},
	{shape: "rule", text: `kind(r) := "open" if r.public` + "\nfilter if not kind(input.row) == \"open\"\nfilter if kind(input.row) != \"closed\""},
	{shape: "guard", text: `filter if { input.session.variables["x-hasura-org"] == "acme"; input.row.n > 1 }` + "\nfilter if not input.session.variables[\"x-hasura-org\"]"},
	{shape: "guard", text: `staff if { some m in data.tenant.members; m.user == ` + claim + `; not m.off }` + "\nfilter if staff\nfilter if { not staff; input.row.public }"},
	{shape: "guard", text: `filter if { data.tenant.flag; input.session.auth == "jwt"; input.row.n == 1 }` + "\nfilter if { data.tenant.absent; input.row.public }"},
	{shape: "late value", text: `filter if input.row.n == to_number(input.session.variables["x-hasura-n"])`},
	{shape: "late value", text: `filter if { x := to_number(input.session.variables["x-hasura-n"]); not input.row.n == x; input.row.price != x }`},
	{shape: "late value", text: `filter if input.row.n != data.tenant.odd` + "\nfilter if input.row.title == data.tenant.limit"},
	{shape: "late value", text: `filter if input.row.n != data.tenant.nothing`},
	{shape: "late value", text: `filter if { input.row.ratio >= data.tenant.ratio; input.row.org == data.tenant.name }`},
	{shape: "late list", text: `filter if { some m in data.tenant.members; m.user == ` + claim + `; input.row.org == m.org }`},
	{shape: "late list", text: `filter if input.row.org == data.tenant.orgs[_]` + "\nfilter if input.row.n == data.tenant.levels[_]"},
	{shape: "late list", text: `filter if not joined` + "\njoined if { some m in data.tenant.members; m.user == " + claim + "; input.row.org == m.org }"},
	{shape: "late list", text: `mine contains m.org if { some m in data.tenant.members; m.user == ` + claim + ` }` + "\nfilter if input.row.org in mine"},
	{shape: "late list", text: `filter if { orgs := {m.org | some m in data.tenant.members; m.user == ` + claim + `; not m.off}; some c in input.row.comments; c.author.org in orgs }`},
	{shape: "known input", text: `filter if { input.resource.name == "docs"; input.point == "row_filter"; input.operation.type == "query"; input.row.n == 2 }` + "\nfilter if { input.session.role == \"other\"; input.row.n == 3 }"},
	{shape: "known input", text: `filter if input.session.role == "user"`},
	{shape: "known input", text: `filter if { input.session.role == "other"; input.row.public }`},
}
