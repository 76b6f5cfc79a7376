package executor

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"tenantry/api/errcode"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/source"
	"tenantry/tenants/catalog"
)

// treeWriter writes a nested insert: all rows of one form and level in one
// statement, where nothing speaks against it.
type treeWriter struct {
	*run
	tx     *source.Tx
	step   *step
	source string
	counts map[catalog.Name]int // rows written, by table
	root   [][]byte             // written rows of the root's table: JSON strings
	groups int
}

// pending is a row that is to be written.
type pending struct {
	row  *plan.Row // nil for one of records
	form int
	path string
	// record is the row of records, and keys are its columns.
	record map[string]any
	keys   []string
	// linked are the values that other rows determine, JSON by column.
	linked map[string]json.RawMessage
	// group is the list that the row stands in. Rows of different lists may
	// conflict with one another, so on_conflict keeps them apart.
	group int
	// needed tells that other rows wait for this one's keys.
	needed bool
	// written is the row as a form yields it; nil when it was not written.
	written []json.RawMessage
}

// writeTree runs the nested insert of field i and answers it.
func (r *run) writeTree(ctx context.Context, tx *source.Tx, i int, name string) error {
	st := &r.program.steps[i]
	t := &treeWriter{run: r, tx: tx, step: st, source: name, counts: map[catalog.Name]int{}}
	rows := t.list(st.tree.Rows, nil)
	if err := t.insert(ctx, rows, true); err != nil {
		return err
	}
	v := r.values
	for _, form := range st.tree.Forms {
		if form.Most > 0 && t.counts[form.Table] > form.Most {
			return tooMany(form.Most).At(st.checkPath)
		}
	}
	for _, n := range t.counts {
		v.affected += n
	}
	v.written = "[" + string(bytes.Join(t.root, []byte{','})) + "]"
	value, _, err := r.writeStatement(ctx, tx, st.answer, v, name)
	if err != nil {
		return at(err, st.errorPath)
	}
	r.parts[i] = value
	return nil
}

// list makes pending rows of one list; linked is what the row around determines.
func (t *treeWriter) list(rows []plan.Row, linked map[string]json.RawMessage) []*pending {
	t.groups++
	out := make([]*pending, len(rows))
	for i := range rows {
		out[i] = &pending{
			row: &rows[i], form: rows[i].Form, path: rows[i].Path, group: t.groups, linked: map[string]json.RawMessage{},
			needed: len(rows[i].After) > 0,
		}
		for name, value := range linked {
			out[i].linked[name] = value
		}
	}
	return out
}

// branch makes pending rows of a relationship's rows.
func (t *treeWriter) branch(b *plan.Branch, linked map[string]json.RawMessage) ([]*pending, error) {
	if b.Records == nil {
		return t.list(b.Rows, linked), nil
	}
	value, _ := lookup(t.values.variables[b.Records.Variable], b.Records.Path)
	items, ok := value.([]any)
	if !ok {
		return nil, errRecords
	}
	t.groups++
	out := make([]*pending, len(items))
	for i, item := range items {
		record, ok := item.(map[string]any)
		if !ok {
			return nil, errRecords
		}
		out[i] = &pending{form: b.Form, path: b.RecordsPath, record: record, keys: b.Records.Keys, linked: linked, group: t.groups}
	}
	return out, nil
}

// insert writes rows of one table: first what they refer to, then the rows, then
// what refers to them.
func (t *treeWriter) insert(ctx context.Context, rows []*pending, root bool) error {
	err := t.branches(ctx, rows, func(r *plan.Row) []plan.Branch { return r.Before }, t.before)
	if err != nil {
		return err
	}
	for rest := rows; len(rest) > 0; {
		n := t.batch(rest)
		if err := t.write(ctx, rest[:n], root); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return t.branches(ctx, rows, func(r *plan.Row) []plan.Branch { return r.After }, t.after)
}

// branches hands the branches of all rows to write, those of one relationship at
// a time.
func (t *treeWriter) branches(ctx context.Context, rows []*pending, of func(*plan.Row) []plan.Branch, write func(context.Context, []grown) error) error {
	var names []string
	byName := map[string][]grown{}
	for _, p := range rows {
		if p.row == nil {
			continue
		}
		list := of(p.row)
		for i := range list {
			name := list[i].Name
			if byName[name] == nil {
				names = append(names, name)
			}
			byName[name] = append(byName[name], grown{p, &list[i]})
		}
	}
	for _, name := range names {
		if err := write(ctx, byName[name]); err != nil {
			return err
		}
	}
	return nil
}

// grown is a branch and the row that it hangs on.
type grown struct {
	on     *pending
	branch *plan.Branch
}

// before writes the rows of an object relationship and gives their keys to the
// rows that refer to them.
func (t *treeWriter) before(ctx context.Context, all []grown) error {
	rows := make([]*pending, len(all))
	for i, g := range all {
		rows[i] = t.list(g.branch.Rows, nil)[0]
		rows[i].needed = true
	}
	if err := t.insert(ctx, rows, false); err != nil {
		return err
	}
	for i, g := range all {
		if rows[i].written == nil {
			return errcode.New(errcode.NotSupported, "cannot proceed to insert object relation %q since insert to table %q affects zero rows",
				g.branch.Name, t.step.tree.Forms[rows[i].form].Table.Name).At(g.branch.Path)
		}
		for _, pair := range g.branch.On {
			g.on.linked[pair.Outer] = t.key(rows[i], pair.Inner)
		}
	}
	return nil
}

// after writes the rows that refer to rows written before.
func (t *treeWriter) after(ctx context.Context, all []grown) error {
	var rows []*pending
	for _, g := range all {
		if g.on.written == nil {
			return errcode.New(errcode.NotSupported, "cannot proceed to insert array relations since insert to table %q affects zero rows",
				t.step.tree.Forms[g.on.form].Table.Name).At(g.on.path)
		}
		linked := map[string]json.RawMessage{}
		for _, pair := range g.branch.On {
			linked[pair.Inner] = t.key(g.on, pair.Outer)
		}
		next, err := t.branch(g.branch, linked)
		if err != nil {
			return err
		}
		rows = append(rows, next...)
	}
	return t.insert(ctx, rows, false)
}

// What a form yields of each row: the row's text, its check, and then its keys.
const (
	yieldedRow = iota
	yieldedCheck
	yieldedKeys
)

// key is a column of a written row, JSON.
func (t *treeWriter) key(p *pending, column string) json.RawMessage {
	return p.written[yieldedKeys+slices.Index(t.step.tree.Forms[p.form].Keys, column)]
}

// batch is how many of the rows go into the next statement.
func (t *treeWriter) batch(rows []*pending) int {
	first := rows[0]
	form := t.step.tree.Forms[first.form]
	if len(form.Columns) == 0 || form.Conflict != nil && first.needed {
		return 1 // the statement writes one row, or may leave out some and not tell which
	}
	n := 1
	for n < len(rows) && rows[n].form == first.form && (form.Conflict == nil || rows[n].group == first.group && !rows[n].needed) {
		n++
	}
	return n
}

// write runs one statement for rows of one form.
func (t *treeWriter) write(ctx context.Context, rows []*pending, root bool) error {
	form := t.step.tree.Forms[rows[0].form]
	v := t.values
	var err error
	if v.written, err = t.json(form, rows); err != nil {
		return err
	}
	value, verdict, err := t.writeStatement(ctx, t.tx, t.step.forms[rows[0].form], v, t.source)
	if err != nil {
		return at(err, commonPath(rows))
	}
	var written [][]json.RawMessage
	if err := json.Unmarshal(value, &written); err != nil {
		return err
	}
	if err := refused(verdict, 0); err != nil {
		return err.At(failedPath(rows, written))
	}
	t.counts[form.Table] += len(written)
	if len(written) == len(rows) { // RETURNING keeps the order of the rows
		for i, p := range rows {
			p.written = written[i]
		}
	}
	if root {
		for _, row := range written {
			t.root = append(t.root, row[yieldedRow])
		}
	}
	return nil
}

// json writes the rows as a form takes them.
func (t *treeWriter) json(form *plan.Form, rows []*pending) (string, error) {
	own := form.Columns[:len(form.Columns)-len(form.Presets)]
	out := []byte{'['}
	for i, p := range rows {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, '{')
		for j, c := range own {
			out = appendKey(out, j, plan.RecordKey(j))
			var err error
			if out, err = t.appendValue(out, p, j, c); err != nil {
				return "", at(err, p.path)
			}
		}
		out = append(out, '}')
	}
	return string(append(out, ']')), nil
}

// appendValue appends column number j of a row: its own value, or a linked one.
func (t *treeWriter) appendValue(out []byte, p *pending, j int, c plan.Column) ([]byte, error) {
	switch {
	case p.row == nil && j < len(p.keys):
		return appendJSON(out, p.record[p.keys[j]])
	case p.row != nil && j < len(p.row.Values):
		text, err := t.values.value(&p.row.Values[j])
		switch {
		case err != nil:
			return out, err
		case text == nil:
			return append(out, "null"...), nil
		case plan.IsJSON(c.Type):
			return append(out, *text...), nil
		}
		return appendJSON(out, *text)
	}
	return append(out, p.linked[c.Name]...), nil
}

// failedPath is where the first row whose check failed is said to be.
func failedPath(rows []*pending, written [][]json.RawMessage) string {
	if len(written) != len(rows) {
		return commonPath(rows)
	}
	for i, row := range written {
		if string(row[yieldedCheck]) != "true" {
			return rows[i].path
		}
	}
	return commonPath(rows)
}

// commonPath is the place that all rows have in common: Postgres doesn't tell
// which row of a statement it refused.
func commonPath(rows []*pending) string {
	common := rows[0].path
	for _, p := range rows[1:] {
		for common != p.path && !strings.HasPrefix(p.path, common+".") && !strings.HasPrefix(p.path, common+"[") {
			common = common[:max(strings.LastIndexAny(common, ".["), 0)]
		}
	}
	return common
}
