package planner

import (
	"fmt"
	"slices"
	"strings"

	"tenantry/api/errcode"
	"tenantry/policy/access"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/schema"
	"tenantry/tenants/model"
)

// nests reports whether some object brings rows of a related table.
func nests(t *model.Table, rows []input) bool {
	for _, row := range rows {
		for _, f := range row.fields() {
			if _, ok := t.Relationship(f.name); ok && !f.in.null() {
				return true
			}
		}
	}
	return false
}

// tree plans a nested insert. What it touches besides the root's table is told
// to out.
func (p *planner) tree(out *plan.Field, t *model.Table, rows []input, conflict *plan.Conflict, path, argument string) (*plan.Tree, error) {
	b := &treeBuilder{planner: p, tree: &plan.Tree{}, forms: map[string]int{}}
	var err error
	b.tree.Rows, err = b.rows(t, rows, conflict, nil, path+"."+argument)
	validated := map[string]bool{}
	b.validations(out, t, rows, plan.Validation{Argument: argument}, validated)
	for _, form := range b.tree.Forms {
		if form.Table != t.Name {
			out.Nested = append(out.Nested, plan.Resource{
				Kind: "table", Source: t.Source, Schema: form.Table.Schema, Name: form.Table.Name, Columns: columnNames(form.Columns),
			})
		}
	}
	return b.tree, err
}

func columnNames(columns []plan.Column) []string {
	var names []string
	for _, c := range columns {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

type treeBuilder struct {
	*planner
	tree  *plan.Tree
	forms map[string]int // by what makes two of them the same
}

// rows plans the objects of one list. linked are columns, by their database
// names, that the row around them determines.
func (b *treeBuilder) rows(t *model.Table, rows []input, conflict *plan.Conflict, linked []string, path string) ([]plan.Row, error) {
	nested := nests(t, rows)
	var out []plan.Row
	for i, in := range rows {
		place := fmt.Sprintf("%s[%d]", path, i)
		row, err := b.row(t, in, conflict, linked, place)
		if err != nil {
			return nil, err
		}
		if !nested { // written in one statement, which can't tell its rows apart
			row.Path = path
		}
		out = append(out, row)
	}
	return out, nil
}

// nestedInput is one relationship of an object with its rows.
type nestedInput struct {
	*model.Relationship
	in   input // the relationship's whole input
	path string
}

// row plans one object and what it brings with it.
func (b *treeBuilder) row(t *model.Table, in input, conflict *plan.Conflict, linked []string, path string) (plan.Row, error) {
	out := plan.Row{Path: path}
	allowed := b.role.Table(t).Insert
	if allowed == nil {
		return out, errcode.New(errcode.ValidationFailed, "field 'data' not found").At(path)
	}
	given := map[string]input{}
	var nested []nestedInput
	for _, f := range in.fields() {
		if r, ok := t.Relationship(f.name); ok {
			if !f.in.null() {
				nested = append(nested, nestedInput{r, f.in, path + "." + f.name})
			}
			continue
		}
		given[f.name] = f.in
	}
	columns, err := ownColumns(t, given, linked, path)
	if err != nil {
		return out, err
	}
	determined := slices.Clone(linked)
	for _, n := range nested {
		if afterParent(n.Relationship) {
			continue
		}
		if determined, err = determinedBy(n, columns, determined); err != nil {
			return out, err
		}
	}
	for _, c := range columns {
		v, err := given[c.Name].param(c.Type, path+"."+c.Name)
		if err != nil {
			return out, err
		}
		out.Values = append(out.Values, v)
	}
	out.Form = b.form(t, columns, determined, allowed, conflict)
	for _, n := range nested {
		branch, err := b.branch(n)
		if err != nil {
			return out, err
		}
		if afterParent(n.Relationship) {
			out.After = append(out.After, branch)
			for _, pair := range n.Mapping {
				b.key(out.Form, pair.Local)
			}
			continue
		}
		out.Before = append(out.Before, branch)
		for _, pair := range n.Mapping {
			b.key(branch.Rows[0].Form, pair.Remote)
		}
	}
	return out, nil
}

// key tells a form that other rows need a column of its rows.
func (b *treeBuilder) key(form int, column string) {
	f := b.tree.Forms[form]
	if !slices.Contains(f.Keys, column) {
		f.Keys = append(f.Keys, column)
	}
}

// afterParent reports whether the related rows refer to the object's row, and
// so come after it.
func afterParent(r *model.Relationship) bool {
	if r.Array {
		return true
	}
	if r.Using.Manual != nil {
		return r.Using.Manual.InsertionOrder == "after_parent"
	}
	return r.Using.ForeignKey != nil && r.Using.ForeignKey.Table != nil
}

// ownColumns are the columns that an object gives, in the table's order; none of
// them may be one that the row around it determines.
func ownColumns(t *model.Table, given map[string]input, linked []string, path string) ([]*model.Column, error) {
	var out []*model.Column
	var taken []string
	for _, c := range t.Columns {
		if _, ok := given[c.Name]; !ok {
			continue
		}
		if slices.Contains(linked, c.StoredName()) {
			taken = append(taken, c.StoredName())
		}
		out = append(out, c)
	}
	if len(out) < len(given) {
		for name := range given {
			if _, ok := t.Column(name); !ok {
				return nil, unknownInsertField(t, name, path)
			}
		}
	}
	if len(taken) > 0 {
		return nil, alreadyLinked(taken, path)
	}
	return out, nil
}

func alreadyLinked(columns []string, path string) error {
	return errcode.New(errcode.ValidationFailed,
		"cannot insert %s columns as their values are already being determined by parent insert", quoted(columns)).At(path)
}

// determinedBy adds the columns that an object relationship fills.
func determinedBy(n nestedInput, columns []*model.Column, determined []string) ([]string, error) {
	var taken []string
	for _, pair := range n.Mapping {
		own := slices.ContainsFunc(columns, func(c *model.Column) bool { return c.StoredName() == pair.Local })
		if own || slices.Contains(determined, pair.Local) {
			taken = append(taken, pair.Local)
		}
	}
	if len(taken) > 0 {
		return nil, errcode.New(errcode.ValidationFailed,
			"cannot insert object relationship %q as %s column values are already determined", n.Name, quoted(taken)).At(n.path)
	}
	for _, pair := range n.Mapping {
		determined = append(determined, pair.Local)
	}
	return determined, nil
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = `"` + name + `"`
	}
	return strings.Join(out, ", ")
}

// branch plans the rows of one relationship.
func (b *treeBuilder) branch(n nestedInput) (plan.Branch, error) {
	out := plan.Branch{Name: n.Name, Path: n.path, On: pairs(n.Mapping)}
	var conflict *plan.Conflict
	if in, ok := n.in.field(schema.OnConflict); ok && !in.null() {
		var err error
		if conflict, err = b.conflict(n.Target, in, n.path+"."+schema.OnConflict); err != nil {
			return out, err
		}
	}
	data, ok := n.in.field(schema.Data)
	if !ok || data.null() { // validated before
		return out, unexpectedNull(n.Target.TypeName("_insert_input"), n.path+"."+schema.Data)
	}
	var linked []string
	if afterParent(n.Relationship) {
		for _, pair := range n.Mapping {
			linked = append(linked, pair.Remote)
		}
	}
	path := n.path + "." + schema.Data
	if !n.Array {
		row, err := b.row(n.Target, data, conflict, linked, path)
		out.Rows = []plan.Row{row}
		return out, err
	}
	if keys := recordKeys(n.Target, data); keys != nil {
		return out, b.records(&out, n.Target, data, keys, conflict, linked, path)
	}
	var err error
	out.Rows, err = b.rows(n.Target, data.items(), conflict, linked, path)
	return out, err
}

// records plans rows that a variable brings with the same keys.
func (b *treeBuilder) records(out *plan.Branch, t *model.Table, data input, keys []string, conflict *plan.Conflict, linked []string, path string) error {
	allowed := b.role.Table(t).Insert
	if allowed == nil {
		return errcode.New(errcode.ValidationFailed, "field 'data' not found").At(path)
	}
	var columns []*model.Column
	var taken []string
	for _, key := range keys {
		c, _ := t.Column(key) // recordKeys saw to it
		columns = append(columns, c)
		if slices.Contains(linked, c.StoredName()) {
			taken = append(taken, c.StoredName())
		}
	}
	if len(taken) > 0 {
		return alreadyLinked(taken, path+"[0]")
	}
	out.Records = &plan.Records{Variable: data.variable, Path: data.path, Keys: keys}
	out.RecordsPath = path
	out.Form = b.form(t, columns, linked, allowed, conflict)
	return nil
}

// form finds or makes the statement for rows with these columns. A preset wins
// over a column that a relationship determines: it is what the role can't choose.
func (b *treeBuilder) form(t *model.Table, columns []*model.Column, determined []string, allowed *access.Insert, conflict *plan.Conflict) int {
	f := &plan.Form{Table: t.Name, Conflict: conflict, Check: allowed.Check, Most: allowed.MaxAffectedRows}
	for _, c := range columns {
		f.Columns = append(f.Columns, plan.Column{Name: c.StoredName(), Type: c.Type})
	}
	for _, name := range determined {
		preset := slices.ContainsFunc(allowed.Presets, func(p access.Preset) bool { return p.Column.StoredName() == name })
		if c, ok := t.Stored(name); ok && !preset {
			f.Columns = append(f.Columns, plan.Column{Name: name, Type: c.Type})
		}
	}
	for _, preset := range allowed.Presets {
		f.Columns = append(f.Columns, plan.Column{Name: preset.Column.StoredName(), Type: preset.Column.Type})
		f.Presets = append(f.Presets, preset.Value)
	}
	key := fmt.Sprintf("%q %p", t.Name, conflict)
	for _, c := range f.Columns {
		key += fmt.Sprintf(" %q", c.Name)
	}
	if i, ok := b.forms[key]; ok {
		return i
	}
	b.tree.Forms = append(b.tree.Forms, f)
	b.forms[key] = len(b.tree.Forms) - 1
	return len(b.tree.Forms) - 1
}

// recordKeys are the keys of the rows that a variable brings, when all rows have
// the same and all are columns; else nil.
func recordKeys(t *model.Table, in input) []string {
	list, ok := in.value.([]any)
	if !ok || in.literal != nil {
		return nil
	}
	keys := uniformKeys(list)
	for _, key := range keys {
		if _, ok := t.Column(key); !ok {
			return nil
		}
	}
	return keys
}

// validations tells the webhooks of the nested tables: one call for all rows
// that one path of relationships brings.
func (b *treeBuilder) validations(out *plan.Field, t *model.Table, rows []input, at plan.Validation, told map[string]bool) {
	for _, row := range rows {
		for _, f := range row.fields() {
			r, ok := t.Relationship(f.name)
			if !ok || f.in.null() {
				continue
			}
			next := at
			next.Relationships = append(slices.Clone(at.Relationships), r.Name)
			key := strings.Join(next.Relationships, ".")
			if allowed := b.role.Table(r.Target).Insert; allowed != nil && !told[key] {
				told[key] = true
				out.Validations = validation(out.Validations, allowed.Validation, next)
			}
			if data, ok := f.in.field(schema.Data); ok {
				b.validations(out, r.Target, data.items(), next, told)
			}
		}
	}
}
