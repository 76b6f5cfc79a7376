// Package executor runs a plan: binds values to the statements, runs SQL and
// action steps in the order that the plan demands, joins an action's answer
// with the project's database, and writes one response.
//
// JSON that Postgres built is passed on as bytes; only an action's answer is
// looked into.
package executor

import (
	"tenantry/services/engine/dialect"
	"tenantry/services/engine/plan"
)

// Program is a plan with its statements, ready to run for any session of its
// role. Immutable; made once and cached.
type Program struct {
	Plan *plan.Plan
	// steps has one entry per field of the plan.
	steps []step
	joins map[*plan.Join]dialect.Statement
}

type step struct {
	statement dialect.Statement
	// answer, when it has SQL, answers a mutation from the rows that statement
	// wrote.
	answer dialect.Statement
	source string
	write  bool
	// errorPath is where an error of the database is said to be.
	errorPath string
	// checkPath is where a failed permission check is said to be.
	checkPath string
}

// Compile renders the statements of a plan.
func Compile(p *plan.Plan) *Program {
	out := &Program{Plan: p, joins: map[*plan.Join]dialect.Statement{}}
	for _, f := range p.Fields {
		out.steps = append(out.steps, compileStep(f))
		if f.Action != nil {
			out.compileJoins(f.Action.Selection)
		}
	}
	return out
}

func compileStep(f plan.Field) step {
	at := "$.selectionSet." + f.Name + ".args"
	switch {
	case f.Select != nil:
		return step{statement: dialect.Select(f.Select), source: f.Select.Source, errorPath: "$"}
	case f.Insert != nil:
		m := dialect.Insert(f.Insert)
		objects := at + ".objects"
		if f.Insert.Returning.One {
			objects = at + ".object"
		}
		return step{statement: m.Write, answer: m.Answer, source: f.Insert.Source, write: true, errorPath: objects, checkPath: objects}
	case f.Update != nil:
		m := dialect.Update(f.Update)
		return step{statement: m.Write, answer: m.Answer, source: f.Update.Source, write: true, errorPath: "$", checkPath: at}
	case f.Delete != nil:
		return step{statement: dialect.Delete(f.Delete).Write, source: f.Delete.Source, write: true, errorPath: "$", checkPath: at}
	}
	return step{}
}

func (p *Program) compileJoins(parts []plan.Part) {
	for _, part := range parts {
		if part.Join != nil {
			p.joins[part.Join] = dialect.Join(part.Join)
		}
		p.compileJoins(part.Parts)
	}
}

// Size estimates the memory that the program holds, in bytes.
func (p *Program) Size() int {
	size := 1024
	for _, s := range p.steps {
		size += sizeOf(s.statement) + sizeOf(s.answer)
	}
	for _, st := range p.joins {
		size += sizeOf(st)
	}
	return size
}

// sizeOf counts the text, and the plan's data by the parameters.
func sizeOf(st dialect.Statement) int { return 2*len(st.SQL) + 512*len(st.Params) }

// Statements are the SQL texts of the plan in order, for explain and tests.
func (p *Program) Statements() []string {
	var out []string
	for i, s := range p.steps {
		if s.statement.SQL != "" {
			out = append(out, s.statement.SQL)
		}
		if s.answer.SQL != "" {
			out = append(out, s.answer.SQL)
		}
		if a := p.Plan.Fields[i].Action; a != nil {
			out = p.joinStatements(out, a.Selection)
		}
	}
	return out
}

func (p *Program) joinStatements(out []string, parts []plan.Part) []string {
	for _, part := range parts {
		if part.Join != nil {
			out = append(out, p.joins[part.Join].SQL)
		}
		out = p.joinStatements(out, part.Parts)
	}
	return out
}

// empty reports an insert without rows: nothing to do, and no SQL for it.
func empty(in *plan.Insert) bool { return in != nil && in.Records == nil && len(in.Rows) == 0 }
