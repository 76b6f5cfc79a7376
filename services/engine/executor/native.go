package executor

import (
	"tenantry/policy/filter"
	"tenantry/services/engine/dialect"
	"tenantry/services/engine/plan"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// NativeStatement is a native query as it will be sent, for the database to
// check, and how many parameters it has to have.
func NativeStatement(q *model.NativeQuery) (sql string, parameters int) {
	var columns []string
	for _, c := range q.Target.Columns {
		columns = append(columns, c.StoredName())
	}
	if q.Target.Logical != nil {
		for _, m := range q.Target.Logical.Members {
			columns = append(columns, m.Name)
		}
	}
	var parts []plan.NativePart
	for _, part := range q.Code {
		parts = append(parts, plan.NativePart{Text: part.Text, Value: placeholder(q, part)})
	}
	st := dialect.Native(columns, parts)
	return st.SQL, len(st.Params)
}

// placeholder is a value of the right type; nil for text.
func placeholder(q *model.NativeQuery, part model.CodePart) *filter.Param {
	if part.Session != "" {
		return &filter.Param{From: filter.Session, Name: part.Session, Type: catalog.TypeRef{Schema: "pg_catalog", Name: "text"}}
	}
	a, ok := q.Argument(part.Argument)
	if !ok {
		return nil
	}
	return &filter.Param{From: filter.Variable, Name: a.Name, Type: a.Type}
}
