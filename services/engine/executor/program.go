// Package executor runs a plan: binds values to the statements, runs SQL and
// action steps in the order that the plan demands, joins an action's answer
// with the project's database, and writes one response.
//
// JSON that Postgres built is passed on as bytes; only an action's answer is
// looked into, and rows to which another source has something to add.
package executor

import (
	"fmt"
	"slices"
	"sync/atomic"

	"tenantry/api/graphqlhttp"
	"tenantry/policy/filter"
	"tenantry/services/engine/dialect"
	"tenantry/services/engine/plan"
)

// Program is a plan with its statements, ready to run for any session of its
// role. Immutable; made once and cached.
type Program struct {
	Plan *plan.Plan
	// Fields are the names of the root fields; Actions says that one is an action.
	Fields  []string
	Actions bool
	// steps has one entry per field of the plan.
	steps []step
	joins map[*plan.Join]*joinStep
	// attaches is true when some step has places.
	attaches bool
	// reads are the table fields of a query by source, in the order of their first.
	reads []read
	// begin, when set, is how the response begins up to the value of its only
	// field, which one statement yields.
	begin []byte
	// size of the last such response: the next one is probably like it.
	size atomic.Int64
	// late is true when a statement has values that the policy yields.
	late bool
}

// read is what one round trip to a source reads.
type read struct {
	source string
	fields []int
}

// joinStep reads one relationship for many keys.
type joinStep struct {
	statement dialect.Statement
	// one is the same for a single key.
	one dialect.Statement
	// places are where other sources add to the rows; nil for none.
	places *places
}

type step struct {
	statement dialect.Statement
	// answer, when it has SQL, answers a mutation from the rows that statement
	// wrote.
	answer dialect.Statement
	source string
	write  bool
	// alone says that the statement needs no transaction around it: Postgres undoes
	// it when it fails, and nothing else does.
	alone bool
	// errorPath is where an error of the database is said to be.
	errorPath string
	// checkPath is where a failed permission check is said to be.
	checkPath string
	// most rows that may be affected; 0 is no limit.
	most int
	// updates are the steps of an update of many.
	updates []step
	// tree is a nested insert, and forms its statements; answer has SQL.
	tree  *plan.Tree
	forms []dialect.Statement
	// places are where other sources add to the answer; nil for none.
	places *places
}

// Compile renders the statements of a plan.
func Compile(p *plan.Plan) *Program {
	out := &Program{Plan: p, joins: map[*plan.Join]*joinStep{}}
	for _, f := range p.Fields {
		out.Fields = append(out.Fields, f.Name)
		step := compileStep(f)
		if step.places = placesOfField(f); step.places != nil {
			out.attaches = true
			step.places.each("", out.compileJoin)
		}
		out.steps = append(out.steps, step)
		if f.Action != nil {
			out.Actions = true
			out.compileJoins(f.Action.Selection)
		}
		if f.Entities != nil {
			for _, t := range f.Entities.Types {
				out.compileJoin("", t.Join)
			}
		}
	}
	out.group(p)
	for _, s := range out.steps {
		for _, st := range s.statements() {
			out.late = out.late || late(st)
		}
	}
	for _, j := range out.joins {
		out.late = out.late || late(j.statement)
	}
	return out
}

// late reports whether a statement has values that the policy yields.
func late(st dialect.Statement) bool {
	return slices.ContainsFunc(st.Params, func(p dialect.Param) bool { return p.Value != nil && p.Value.From == filter.Late })
}

// group decides how the fields of a query are read.
func (p *Program) group(of *plan.Plan) {
	if of.Mutation {
		return
	}
	for i, f := range of.Fields {
		if f.Select == nil {
			continue
		}
		at := slices.IndexFunc(p.reads, func(r read) bool { return r.source == f.Select.Source })
		if at < 0 {
			at = len(p.reads)
			p.reads = append(p.reads, read{source: f.Select.Source})
		}
		p.reads[at].fields = append(p.reads[at].fields, i)
	}
	if len(of.Fields) == 1 && of.Fields[0].Select != nil && of.Fields[0].Group == "" && !p.attaches {
		p.begin = appendKey([]byte(graphqlhttp.DataBegin), 0, of.Fields[0].Key)
	}
}

func compileStep(f plan.Field) step {
	at := "$.selectionSet." + f.Name + ".args"
	switch {
	case f.Select != nil:
		return step{statement: dialect.Select(f.Select), source: f.Select.Source, errorPath: "$"}
	case f.Call != nil:
		m := dialect.Call(f.Call)
		return step{statement: m.Write, answer: m.Answer, source: f.Call.Source, write: true, errorPath: "$", checkPath: at}
	case f.Insert != nil:
		return compileInsert(f.Insert, at)
	case f.Update != nil:
		return compileUpdate(f.Update, at)
	case f.Updates != nil:
		out := step{source: f.Resource.Source, write: true, updates: []step{}}
		for i, u := range f.Updates {
			out.updates = append(out.updates, compileUpdate(u, fmt.Sprintf("%s.updates[%d]", at, i)))
		}
		return out
	case f.Delete != nil:
		m := dialect.Delete(f.Delete)
		return step{statement: m.Write, alone: m.Unchecked, source: f.Delete.Source, write: true, errorPath: "$", checkPath: at, most: f.Delete.Most}
	}
	return step{}
}

func compileInsert(in *plan.Insert, at string) step {
	objects := at + ".objects"
	if in.Returning.One {
		objects = at + ".object"
	}
	out := step{source: in.Source, write: true, errorPath: objects, checkPath: objects, most: in.Most}
	if in.Tree == nil {
		m := dialect.Insert(in)
		out.statement, out.answer, out.alone = m.Write, m.Answer, m.Unchecked
		return out
	}
	out.tree = in.Tree
	for _, form := range in.Tree.Forms {
		out.forms = append(out.forms, dialect.Form(form))
	}
	out.answer = dialect.Written(in.Table, in.Returning)
	return out
}

func compileUpdate(u *plan.Update, at string) step {
	m := dialect.Update(u)
	return step{statement: m.Write, answer: m.Answer, alone: m.Unchecked, source: u.Source, write: true, errorPath: "$", checkPath: at, most: u.Most}
}

func (p *Program) compileJoins(parts []plan.Part) {
	for _, part := range parts {
		if part.Join != nil {
			p.compileJoin("", part.Join)
		}
		p.compileJoins(part.Parts)
	}
}

// compileJoin renders a join and those in its rows.
func (p *Program) compileJoin(_ string, j *plan.Join) {
	if p.joins[j] != nil {
		return
	}
	step := &joinStep{statement: dialect.Join(j), one: dialect.JoinOne(j), places: placesOf(j.Select)}
	p.joins[j] = step
	step.places.each("", p.compileJoin)
}

// Size estimates the memory that the program holds, in bytes.
func (p *Program) Size() int {
	size := 1024
	for _, s := range p.steps {
		for _, st := range s.statements() {
			size += sizeOf(st)
		}
		if s.tree != nil {
			size += sizeOfRows(s.tree.Rows)
		}
	}
	for _, j := range p.joins {
		size += sizeOf(j.statement) + sizeOf(j.one)
	}
	return size
}

// sizeOf counts the text, and the plan's data by the parameters.
func sizeOf(st dialect.Statement) int { return 2*len(st.SQL) + 512*len(st.Params) }

// statements are all statements of a step.
func (s *step) statements() []dialect.Statement {
	var out []dialect.Statement
	if s.statement.SQL != "" {
		out = append(out, s.statement)
	}
	out = append(out, s.forms...)
	for i := range s.updates {
		out = append(out, s.updates[i].statements()...)
	}
	if s.answer.SQL != "" {
		out = append(out, s.answer)
	}
	return out
}

// sizeOfRows estimates the plan's data of a nested insert.
func sizeOfRows(rows []plan.Row) int {
	size := 0
	for _, row := range rows {
		size += 128 + 128*len(row.Values) + len(row.Path)
		for _, branches := range [][]plan.Branch{row.Before, row.After} {
			for _, b := range branches {
				size += 256 + sizeOfRows(b.Rows)
			}
		}
	}
	return size
}

// Statements are the SQL texts of the plan in order, for explain and tests.
func (p *Program) Statements() []string {
	var out []string
	p.eachStatement(func(st dialect.Statement) { out = append(out, st.SQL) })
	return out
}

// eachStatement calls f for the statements of the plan in order.
func (p *Program) eachStatement(f func(dialect.Statement)) {
	joined := func(_ string, j *plan.Join) { f(p.joins[j].statement) }
	for i, s := range p.steps {
		for _, st := range s.statements() {
			f(st)
		}
		p.eachJoin("", s.places, joined)
		if a := p.Plan.Fields[i].Action; a != nil {
			p.eachPart(a.Selection, joined)
		}
		p.eachEntity(p.Plan.Fields[i].Entities, joined)
	}
}

// eachJoin calls f for the joins of the places and those in their rows.
func (p *Program) eachJoin(path string, of *places, f func(path string, j *plan.Join)) {
	of.each(path, func(path string, j *plan.Join) {
		f(path, j)
		p.eachJoin(path, p.joins[j].places, f)
	})
}

// eachPart calls f for the joins of an action's answer and those in their rows.
func (p *Program) eachPart(parts []plan.Part, f func(path string, j *plan.Join)) {
	for _, part := range parts {
		if part.Join != nil {
			f("", part.Join)
			p.eachJoin("", p.joins[part.Join].places, f)
		}
		p.eachPart(part.Parts, f)
	}
}

// empty reports an insert without rows: nothing to do, and no SQL for it.
func empty(in *plan.Insert) bool {
	return in != nil && in.Tree == nil && in.Records == nil && len(in.Rows) == 0
}
