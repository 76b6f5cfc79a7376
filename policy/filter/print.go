package filter

import (
	"fmt"
	"strconv"
	"strings"

	"tenantry/tenants/catalog"
)

// String is an expression as people read it, for explain and golden files. It is
// not SQL: parameters show where their value comes from.
func String(e Expr) string {
	var p printer
	p.expr(e)
	return p.String()
}

// Filled is String with the values of parameters where known knows them. It asks
// about every parameter of the expression, in order.
func Filled(e Expr, known func(Param) (string, bool)) string {
	p := printer{known: known}
	p.expr(e)
	return p.String()
}

type printer struct {
	strings.Builder
	// known, when set, knows the values of some parameters.
	known func(Param) (string, bool)
}

func (p *printer) expr(e Expr) {
	switch e := e.(type) {
	case nil:
		p.WriteString("true")
	case And:
		p.list(e, " AND ", "true")
	case Or:
		p.list(e, " OR ", "false")
	case Not:
		p.WriteString("NOT (")
		p.expr(e.Of)
		p.WriteString(")")
	case NotTrue:
		p.WriteString("(")
		p.expr(e.Of)
		p.WriteString(") IS NOT TRUE")
	case Compare:
		p.operand(e.Left)
		p.WriteString(" " + string(e.Op) + " ")
		p.operand(e.Right)
	case IsNull:
		p.operand(e.Of)
		if e.Negated {
			p.WriteString(" IS NOT NULL")
		} else {
			p.WriteString(" IS NULL")
		}
	case Exists:
		p.exists(e)
	case Guard:
		p.param(e.Param)
	case Predicate:
		p.call(e.Function, e.Arguments)
	default:
		fmt.Fprintf(p, "%#v", e)
	}
}

func (p *printer) list(all []Expr, between, none string) {
	if len(all) == 0 {
		p.WriteString(none)
		return
	}
	p.WriteString("(")
	for i, e := range all {
		if i > 0 {
			p.WriteString(between)
		}
		p.expr(e)
	}
	p.WriteString(")")
}

func (p *printer) exists(e Exists) {
	p.WriteString("EXISTS (")
	if e.From != nil {
		p.function(e.From)
	} else {
		p.WriteString(quoted(e.Table.Schema) + "." + quoted(e.Table.Name))
	}
	for i, pair := range e.On {
		if i == 0 {
			p.WriteString(" ON ")
		} else {
			p.WriteString(" AND ")
		}
		p.WriteString("^." + quoted(pair.Outer) + " = " + quoted(pair.Inner))
	}
	p.WriteString(" WHERE ")
	p.expr(e.Where)
	p.WriteString(")")
}

func (p *printer) operand(o Operand) {
	switch o := o.(type) {
	case Column:
		p.WriteString(strings.Repeat("^", o.Up))
		if o.Up > 0 {
			p.WriteString(".")
		}
		if o.Of != nil {
			p.function(o.Of)
			return
		}
		if len(o.Cases) > 0 {
			p.cases(o)
			return
		}
		p.WriteString(quoted(o.Name))
	case Param:
		p.param(o)
	case Cast:
		p.operand(o.Of)
		p.WriteString("::" + typeString(o.To))
	case Aggregate:
		p.aggregate(o)
	case Call:
		p.call(o.Function, o.Arguments)
	case Bytes:
		p.operand(o.Of)
	default:
		fmt.Fprintf(p, "%#v", o)
	}
}

func (p *printer) cases(c Column) {
	p.WriteString("CASE")
	for _, one := range c.Cases {
		p.WriteString(" WHEN ")
		p.expr(one.When)
		p.WriteString(" THEN ")
		if one.Shows != nil {
			p.operand(one.Shows)
			continue
		}
		if one.Mask != Plain {
			p.WriteString(one.Mask.String() + " of ")
		}
		p.WriteString(quoted(c.Name))
	}
	p.WriteString(" END")
}

func (p *printer) aggregate(a Aggregate) {
	p.WriteString(a.Function + "(")
	if a.Distinct {
		p.WriteString("DISTINCT ")
	}
	for i, c := range a.Columns {
		if i > 0 {
			p.WriteString(", ")
		}
		p.operand(c)
	}
	p.WriteString(" OF ")
	p.exists(Exists{Table: a.Table, On: a.On, Where: a.Where})
	p.WriteString(")")
}

func (p *printer) param(v Param) {
	if p.known != nil {
		if text, ok := p.known(v); ok {
			p.WriteString(text + "::" + typeString(v.Type))
			return
		}
	}
	switch v.From {
	case Array:
		p.WriteString("[")
		for i, item := range v.Items {
			if i > 0 {
				p.WriteString(", ")
			}
			p.param(item)
		}
		p.WriteString("]")
	case Literal:
		p.WriteString(strconv.Quote(v.Name))
	case Session:
		p.WriteString("session(" + v.Name + ")")
	case Variable:
		p.WriteString("$" + v.Name)
		for _, step := range v.Path {
			fmt.Fprintf(p, "[%v]", step)
		}
	case Claim:
		p.WriteString("claim(" + v.Name + ")")
	case Late:
		p.WriteString("late(" + v.Name + ")")
	case Null:
		p.WriteString("null")
	case Encoded:
		p.WriteString("decoded(")
		p.param(v.Items[0])
		p.WriteString(")")
		for _, step := range v.Path {
			fmt.Fprintf(p, "[%v]", step)
		}
	case Document:
		p.WriteString("json(")
		for i, item := range v.Items {
			if i > 0 {
				p.WriteString(", ")
			}
			p.param(item)
		}
		p.WriteString(")")
	case SessionObject:
		p.WriteString("session")
	}
	p.WriteString("::" + typeString(v.Type))
}

func typeString(t catalog.TypeRef) string {
	name := quoted(t.Name)
	if t.Schema != "pg_catalog" && t.Schema != "" {
		name = quoted(t.Schema) + "." + name
	}
	return name + strings.Repeat("[]", t.Dimensions)
}

// quoted is a name, in quotes unless it is plain.
func quoted(name string) string {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9' || i == 0) {
			return strconv.Quote(name)
		}
	}
	if name == "" {
		return `""`
	}
	return name
}

func (p *printer) call(function string, arguments []Operand) {
	p.WriteString(function + "(")
	for i, a := range arguments {
		if i > 0 {
			p.WriteString(", ")
		}
		p.operand(a)
	}
	p.WriteString(")")
}
