package accessview

import (
	"context"
	"maps"
	"slices"

	"tenantry/api/session"
	"tenantry/policy/access"
	"tenantry/policy/filter"
	"tenantry/services/engine/schema"
	"tenantry/tenants/model"
)

// TableReach is what a role may do with a table.
type TableReach struct {
	Role   string       `json:"role"`
	Table  string       `json:"table" doc:"As source.schema.table."`
	Select *SelectReach `json:"select,omitempty"`
	Insert *WriteReach  `json:"insert,omitempty"`
	Update *WriteReach  `json:"update,omitempty"`
	Delete *WriteReach  `json:"delete,omitempty"`
}

// Origin says where a permission stands.
type Origin struct {
	// Rules are the places in the metadata of the permissions that it is made of:
	// several for an inherited role.
	Rules []string `json:"rules" nullable:"false" doc:"Where the metadata has the permissions that this is made of."`
	// Missing are session variables that the rules need and the session lacks.
	Missing []string `json:"missing,omitempty" doc:"Session variables that the rules need and the session does not have."`
}

// SelectReach is how a role reads a table.
type SelectReach struct {
	Origin
	Columns       []ColumnReach `json:"columns" nullable:"false"`
	Relationships []string      `json:"relationships" nullable:"false" doc:"Fields that lead to other rows."`
	Filter        string        `json:"filter" doc:"Which rows, as people read it; true is all of them."`
	Limit         int           `json:"limit,omitempty" doc:"Rows at most, at every level."`
	Aggregations  bool          `json:"aggregations"`
}

// ColumnReach is a column, or a scalar computed field, that a role reads.
type ColumnReach struct {
	Column string `json:"column"`
	Field  string `json:"field" doc:"Its name in GraphQL."`
	// Shown says what is seen of it; empty when it is shown as it is.
	Shown string `json:"shown,omitempty" doc:"What is seen of it, when that is not the value in every row."`
}

// WriteReach is how a role inserts into, updates or deletes from a table.
type WriteReach struct {
	Origin
	Columns         []string          `json:"columns,omitempty" doc:"Columns that the client may set."`
	Filter          string            `json:"filter,omitempty" doc:"Which rows; not of an insert."`
	Check           string            `json:"check,omitempty" doc:"What the row must fulfil afterwards; not of a deletion."`
	Presets         map[string]string `json:"presets,omitempty" doc:"Columns that the engine sets, and to what."`
	BackendOnly     bool              `json:"backend_only,omitempty"`
	MaxAffectedRows int               `json:"max_affected_rows,omitempty"`
	Validated       bool              `json:"validated,omitempty" doc:"A webhook must accept the input first."`
}

func (t TableReach) empty() bool {
	return t.Select == nil && t.Insert == nil && t.Update == nil && t.Delete == nil
}

func (t TableReach) missing() []string {
	var out []string
	if t.Select != nil {
		out = append(out, t.Select.Missing...)
	}
	for _, w := range []*WriteReach{t.Insert, t.Update, t.Delete} {
		if w != nil {
			out = append(out, w.Missing...)
		}
	}
	return out
}

// reach describes what a role may do with a table, as view shows it and the
// project's policy leaves it.
func (p Project) reach(ctx context.Context, role string, t *model.Table, view *schema.Schema, s *session.Session) TableReach {
	out := TableReach{Role: role, Table: nameOf(t)}
	reads, writes := p.Narrowed(role, "query").Table(t), p.Narrowed(role, "mutation").Table(t)
	if fields := view.Fields(t); reads.Select != nil && len(fields) > 0 {
		out.Select = p.selectReach(ctx, role, t, fields, reads.Select, s)
	}
	may := map[schema.Kind]bool{}
	for _, kind := range view.Writes(t) {
		may[kind] = true
	}
	if i := writes.Insert; i != nil && may[schema.Insert] {
		w := p.writer(ctx, s)
		out.Insert = &WriteReach{Columns: names(t, i.Columns), Check: w.expr(i.Check), Presets: w.presets(i.Presets), BackendOnly: i.BackendOnly}
		w.finish(out.Insert, i.Guard, p.rules(role, t, "insert"))
	}
	if u := writes.Update; u != nil && may[schema.Update] {
		w := p.writer(ctx, s)
		out.Update = &WriteReach{Columns: names(t, u.Columns), Filter: w.expr(u.Filter), Check: w.expr(u.Check), Presets: w.presets(u.Presets), BackendOnly: u.BackendOnly}
		w.finish(out.Update, u.Guard, p.rules(role, t, "update"))
	}
	if d := writes.Delete; d != nil && may[schema.Delete] {
		w := p.writer(ctx, s)
		out.Delete = &WriteReach{Filter: w.expr(d.Filter), BackendOnly: d.BackendOnly}
		w.finish(out.Delete, d.Guard, p.rules(role, t, "delete"))
	}
	return out
}

func (p Project) selectReach(ctx context.Context, role string, t *model.Table, fields []string, rule *access.Select, s *session.Session) *SelectReach {
	w := p.writer(ctx, s)
	out := &SelectReach{Columns: []ColumnReach{}, Relationships: []string{}, Filter: w.expr(rule.Filter), Limit: rule.Limit, Aggregations: rule.Aggregations}
	for _, field := range fields {
		column, ok := columnOf(t, field)
		if !ok {
			out.Relationships = append(out.Relationships, field)
			continue
		}
		shown := ColumnReach{Column: column.StoredName(), Field: field}
		if shown.Column != "" && shown.Column[0] == 0 {
			shown.Column = field // of a computed field, which no column stores
		}
		if cases := rule.Cases(column); len(cases) > 0 {
			shown.Shown = w.operand(filter.Column{Name: shown.Column, Type: column.Type, Cases: cases})
		}
		out.Columns = append(out.Columns, shown)
	}
	out.Origin = Origin{Rules: p.rules(role, t, "select"), Missing: w.missing()}
	return out
}

// columnOf is the column, or the value of the scalar computed field, behind a
// field of a table's rows.
func columnOf(t *model.Table, field string) (*model.Column, bool) {
	if c, ok := t.Column(field); ok {
		return c, true
	}
	if f, ok := t.Computed(field); ok && f.Value != nil {
		return f.Value, true
	}
	return nil, false
}

// names are the columns of a set that a client may write, by database name.
func names(t *model.Table, set access.ColumnSet) []string {
	var out []string
	for _, c := range t.Columns {
		if set.Has(c) && c.Writable() {
			out = append(out, c.StoredName())
		}
	}
	slices.Sort(out)
	return out
}

// writer prints rules, with the values of a session if there is one.
type writer struct {
	project Project
	ctx     context.Context //nolint:containedctx // lives for one answer
	session *session.Session
	lacks   map[string]bool
}

func (p Project) writer(ctx context.Context, s *session.Session) *writer {
	return &writer{project: p, ctx: ctx, session: s, lacks: map[string]bool{}}
}

func (w *writer) expr(e filter.Expr) string { return filter.Filled(e, w.value) }

// operand prints what is seen of a column.
func (w *writer) operand(c filter.Column) string {
	text := filter.Filled(filter.IsNull{Of: c}, w.value)
	return text[:len(text)-len(" IS NULL")]
}

func (w *writer) presets(all []access.Preset) map[string]string {
	if len(all) == 0 {
		return nil
	}
	out := map[string]string{}
	for _, preset := range all {
		out[preset.Column.StoredName()] = filter.Filled(filter.Guard{Param: preset.Value}, w.value)
	}
	return out
}

func (w *writer) finish(out *WriteReach, g access.Guard, rules []string) {
	out.MaxAffectedRows, out.Validated = g.MaxAffectedRows, g.Validation != nil
	out.Origin = Origin{Rules: rules, Missing: w.missing()}
}

func (w *writer) missing() []string { return slices.Sorted(maps.Keys(w.lacks)) }

// value is that of a parameter in the session.
func (w *writer) value(v filter.Param) (string, bool) {
	if w.session == nil {
		return "", false
	}
	switch v.From {
	case filter.Session:
		if text, ok := w.session.Lookup(v.Name); ok {
			return quoted(text), true
		}
		w.lacks[v.Name] = true
	case filter.Claim:
		if text, ok := w.session.Lookup(v.Name); ok {
			return quoted(text), true
		}
		return "null", true
	case filter.Late:
		text, err := w.project.Late(w.ctx, *w.session, v.Name)
		switch {
		case err != nil:
			return "denied", true
		case text == nil:
			return "null", true
		}
		return quoted(*text), true
	}
	return "", false
}
