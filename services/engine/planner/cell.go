package planner

import (
	"tenantry/policy/filter"
	"tenantry/services/engine/plan"
	"tenantry/tenants/model"
)

// read is a column as the role sees it, to be answered or sorted by. Joins and
// writes name the column itself.
func (p *planner) read(t *model.Table, c *model.Column) plan.Column {
	return plan.Column{Name: c.StoredName(), Type: c.Type, Cases: p.cases(t, c)}
}

// operand is a column as the role sees it, in a client's condition: what is hidden
// in a row can't be asked for either.
func (p *planner) operand(t *model.Table, c *model.Column) filter.Column {
	return filter.Column{Name: c.StoredName(), Type: c.Type, Cases: p.cases(t, c)}
}

func (p *planner) cases(t *model.Table, c *model.Column) []filter.Case {
	if allowed := p.role.Table(t).Select; allowed != nil {
		return allowed.Cases(c)
	}
	return nil
}
