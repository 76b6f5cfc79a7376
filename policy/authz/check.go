package authz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tenantry/policy/access"
	"tenantry/tenants/model"
)

// anyRole stands for roles where no permission names one.
const anyRole = "(any)"

// Check makes every filter, check and mask that roles can come to need, as when a
// policy or metadata are saved. The error is a *CompileError with the place of
// everything that cannot be translated. Warnings are about columns that some
// tables do not have: a condition on one is undefined there.
func (p *Policy) Check(ctx context.Context, m *model.Model, a *access.Access, project string) (warnings []Problem, err error) {
	if !p.has["filter"] && !p.has["allow_column"] && !p.has["masks"] {
		return nil, nil
	}
	c := &checker{Policy: p, ctx: ctx, model: m, project: project}
	roles := a.Roles()
	if len(roles) == 0 {
		roles = []string{anyRole}
	}
	for _, name := range roles {
		role, _ := a.Role(name)
		for _, t := range m.RowTypes() {
			granted := role.Table(t)
			if name == anyRole {
				granted = &access.Table{Select: &access.Select{}, Insert: &access.Insert{}, Update: &access.Update{}}
			}
			c.table(name, t, granted)
		}
	}
	warnings = c.lacking()
	if err := c.late(); err != nil {
		return nil, err
	}
	if len(c.problems) > 0 {
		return nil, &CompileError{c.problems}
	}
	return warnings, ctx.Err()
}

type checker struct {
	*Policy
	ctx      context.Context //nolint:containedctx // of one call
	model    *model.Model
	project  string
	missing  []missing
	problems []Problem
}

func (c *checker) note(err error) {
	var failed *CompileError
	if !errors.As(err, &failed) {
		if err != nil {
			c.problems = append(c.problems, Problem{Message: err.Error()})
		}
		return
	}
	for _, p := range failed.Errors {
		if !slices.Contains(c.problems, p) {
			c.problems = append(c.problems, p)
		}
	}
}

// table makes what a role needs of a table.
func (c *checker) table(role string, t *model.Table, granted *access.Table) {
	n := c.narrowing(&access.Role{Name: role}, Rows{Project: c.project, Model: c.model}, t)
	types := []string{"query"}
	if c.mentions("operation") {
		types = []string{"query", "mutation", "subscription"}
	}
	each := func(point Point, types ...string) {
		for _, operation := range types {
			r := n.request
			r.Point, r.Operation.Type = point, operation
			c.filter(r, n)
		}
	}
	if granted.Select != nil {
		each(PointRowFilter, types...)
		c.columns(n, granted.Select)
	}
	if granted.Insert != nil {
		each(PointInsertCheck, "mutation")
	}
	if granted.Update != nil {
		each(PointUpdateCheck, "mutation")
	}
	if granted.Update != nil || granted.Delete != nil {
		each(PointRowFilter, "mutation")
	}
}

func (c *checker) filter(r Request, n *narrowing) {
	if !c.has["filter"] {
		return
	}
	_, lacks, err := c.rows(c.ctx, r, n.table, n.types)
	c.missing = append(c.missing, lacks...)
	c.note(err)
}

func (c *checker) columns(n *narrowing, s *access.Select) {
	r := n.request
	r.Operation.Type = "query"
	_, lacks, err := c.masked(c.ctx, r, n.table, n.types)
	c.missing = append(c.missing, lacks...)
	c.note(err)
	for name := range s.Columns {
		if !c.has["allow_column"] {
			break
		}
		_, lacks, err := c.column(c.ctx, r, n.table, shownName(name), n.types)
		c.missing = append(c.missing, lacks...)
		c.note(err)
	}
}

// mentions reports whether the modules speak of something at all.
func (c *checker) mentions(word string) bool {
	return slices.ContainsFunc(c.modules, func(m Module) bool { return strings.Contains(m.Text, word) })
}

// lacking turns names that tables lack into warnings, and into problems where no
// table has them.
func (c *checker) lacking() []Problem {
	var warnings []Problem
	type key struct {
		Problem
		name string
	}
	var order []key
	tables := map[key][]string{}
	for _, m := range c.missing {
		k := key{m.Problem, m.name}
		if tables[k] == nil {
			order = append(order, k)
		}
		if name := model.ShortName(m.table.Name); !slices.Contains(tables[k], name) {
			tables[k] = append(tables[k], name)
		}
	}
	for _, k := range order {
		p := k.Problem
		known := slices.ContainsFunc(c.model.RowTypes(), func(t *model.Table) bool {
			_, column := t.Stored(k.name)
			_, related := t.Relationship(k.name)
			return column || related
		})
		if !known {
			p.Message = fmt.Sprintf("no tracked table has a column or relationship %q", k.name)
			c.problems = append(c.problems, p)
			continue
		}
		p.Message = fmt.Sprintf("%q is undefined for rows of %s, which have no such column or relationship", k.name, strings.Join(tables[k], ", "))
		warnings = append(warnings, p)
	}
	return warnings
}

// maxChecked bounds the late modules that are compiled to see that they can be.
const maxChecked = 100

func (c *checker) late() error {
	c.Policy.late.mu.RLock()
	var modules []*lateModule
	for _, m := range c.Policy.late.modules {
		modules = append(modules, m)
	}
	c.Policy.late.mu.RUnlock()
	for _, m := range modules[:min(len(modules), maxChecked)] {
		if _, err := c.lateEngine(c.ctx, m); err != nil {
			return err
		}
	}
	return nil
}
