package accessview

import (
	"context"
	"fmt"
	"regexp"

	"tenantry/policy/access"
	"tenantry/policy/filter"
	"tenantry/tenants/model"
)

// Finding is a permission that may let through more than was meant, or something
// saved that works for nobody.
type Finding struct {
	Rule     string `json:"rule" doc:"Stable id of the rule."`
	Severity string `json:"severity" enum:"high,medium,low"`
	Role     string `json:"role"`
	Object   string `json:"object"`
	Path     string `json:"path" doc:"Where the metadata has it."`
	Reason   string `json:"reason"`
}

var (
	ownerColumn  = regexp.MustCompile(`(?i)^(owner|user|author|creator|created_by|tenant|org|organi[sz]ation|account|customer)(_?id)?$`)
	secretColumn = regexp.MustCompile(`(?i)(passw|secret|token|api_?key|private_?key|salt|ssn|credit_?card|iban)`)
)

// Findings are the risky permissions of all roles, table by table.
func (p Project) Findings(ctx context.Context) []Finding {
	l := linter{project: p, found: []Finding{}}
	public := p.Settings.Auth.UnauthorizedRole
	for _, role := range p.Access.Roles() {
		granted, _ := p.Access.Role(role)
		for _, t := range p.Model.RowTypes() {
			l.table(role, t, granted.Table(t), public != "" && role == public)
		}
		for _, a := range p.Model.Actions {
			if role == public && granted.Action(a) && !a.Query {
				l.add("public-mutation", "high", role, a.Name, p.actionPointer(a), "requests without credentials may call an action that changes something")
			}
		}
	}
	for i, r := range p.Document.InheritedRoles {
		l.inherited(r.Role, fmt.Sprintf("$.inherited_roles[%d]", i))
	}
	l.limits()
	l.saved(ctx)
	return l.found
}

type linter struct {
	project Project
	found   []Finding
}

func (l *linter) add(rule, severity, role, object, path, format string, args ...any) {
	l.found = append(l.found, Finding{rule, severity, role, object, path, fmt.Sprintf(format, args...)})
}

// table looks at the permissions that a role has of its own; what it inherits is
// told of the role that it comes from.
func (l *linter) table(role string, t *model.Table, granted *access.Table, public bool) {
	at := func(kind string) (string, bool) {
		for i, name := range rolesOf(t.Metadata, kind) {
			if name == role {
				return fmt.Sprintf("%s.%s_permissions[%d]", t.Pointer, kind, i), true
			}
		}
		return "", false
	}
	if path, own := at("select"); own && granted.Select != nil {
		l.reads(role, t, granted.Select, path)
	}
	if path, own := at("insert"); own && granted.Insert != nil {
		l.writes("insert", role, t, granted.Insert.Columns, filter.True, granted.Insert.Check, path, public)
	}
	if path, own := at("update"); own && granted.Update != nil {
		l.writes("update", role, t, granted.Update.Columns, granted.Update.Filter, granted.Update.Check, path, public)
	}
	if path, own := at("delete"); own && granted.Delete != nil {
		if filter.IsTrue(granted.Delete.Filter) {
			l.add("delete-all-rows", "high", role, nameOf(t), path, "the role may delete every row: the filter is empty")
		}
		if public {
			l.add("public-mutation", "high", role, nameOf(t), path, "requests without credentials may delete rows")
		}
	}
}

func (l *linter) reads(role string, t *model.Table, s *access.Select, path string) {
	for _, c := range t.Columns {
		switch {
		case !s.Columns.Has(c):
		case secretColumn.MatchString(c.StoredName()) && len(s.Cases(c)) == 0:
			l.add("secret-column", "high", role, nameOf(t), path+".permission.columns", "the column %q is named like a secret and has no mask", c.StoredName())
		case ownerColumn.MatchString(c.StoredName()) && filter.IsTrue(s.Filter):
			l.add("select-all-owners", "medium", role, nameOf(t), path+".permission.filter", "rows belong to somebody by the column %q, and the role reads all of them", c.StoredName())
		}
	}
	if s.Aggregations && s.Limit == 0 && filter.IsTrue(s.Filter) {
		l.add("aggregate-without-limit", "low", role, nameOf(t), path+".permission.allow_aggregations", "the role may aggregate all rows, and there is no limit")
	}
}

func (l *linter) writes(kind, role string, t *model.Table, columns access.ColumnSet, where, check filter.Expr, path string, public bool) {
	if public {
		l.add("public-mutation", "high", role, nameOf(t), path, "requests without credentials may %s rows", kind)
	}
	if kind == "update" && filter.IsTrue(where) {
		l.add("update-all-rows", "high", role, nameOf(t), path+".permission.filter", "the role may update every row: the filter is empty")
	}
	for _, c := range t.Columns {
		if columns.Has(c) && ownerColumn.MatchString(c.StoredName()) && filter.IsTrue(check) {
			l.add("owner-column-unchecked", "high", role, nameOf(t), path+".permission",
				"the client sets the column %q, which says whose the row is, and no check holds it: preset it from the session or check it", c.StoredName())
		}
	}
}

// inherited tells of tables of which an inherited role reads every row although
// one of its members reads some.
func (l *linter) inherited(role, path string) {
	united, _ := l.project.Access.Role(role)
	for _, t := range l.project.Model.RowTypes() {
		s := united.Table(t).Select
		if s == nil || !filter.IsTrue(s.Filter) {
			continue
		}
		for _, name := range l.project.Access.Roles() {
			member, _ := l.project.Access.Role(name)
			if of := member.Table(t).Select; name != role && united.Includes(name) && of != nil && !filter.IsTrue(of.Filter) {
				l.add("inherited-role-widens", "medium", role, nameOf(t), path, "the role reads every row, though %q, which it inherits from, reads some alone", name)
				break
			}
		}
	}
}
