package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/filter"
	"tenantry/services/engine/dialect"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/source"
	"tenantry/tenants/catalog"
)

// values are what one request brings to a program.
type values struct {
	session   *session.Session
	variables map[string]any
	// late yields what the policy leaves to each session.
	late func(name string) (*string, error)
	// keys are the join keys of the level that is being joined, one array literal
	// per key column, or the only value of each; nil is NULL.
	keys []*string
	// written are the rows that the mutation being answered wrote, or that a nested
	// insert is to write, as JSON; affected is how many it wrote, in all tables.
	written  string
	affected int
}

// maxParameters is what Postgres's protocol can count.
const maxParameters = 65535

func (v *values) bind(st dialect.Statement) (source.Bound, error) {
	if len(st.Params) > maxParameters {
		return source.Bound{}, errcode.New(errcode.ValidationFailed, "the operation has %d values; at most %d fit into one statement", len(st.Params), maxParameters).At("$")
	}
	out := source.Bound{SQL: st.SQL, Args: make([][]byte, len(st.Params)), Columns: st.Columns}
	for i := range st.Params {
		text, err := v.parameter(&st.Params[i])
		if err != nil {
			return source.Bound{}, err
		}
		if text != nil {
			out.Args[i] = []byte(*text)
		}
	}
	return out, nil
}

func (v *values) parameter(p *dialect.Param) (*string, error) {
	switch {
	case p.Value != nil:
		return v.value(p.Value)
	case p.Written:
		return &v.written, nil
	case p.Affected:
		text := strconv.Itoa(v.affected)
		return &text, nil
	case p.Records != nil:
		text, err := v.records(p.Records)
		return &text, err
	default:
		return v.keys[p.Key-1], nil
	}
}

// value is the text of a parameter; nil is NULL.
func (v *values) value(p *filter.Param) (*string, error) {
	switch p.From {
	case filter.Literal:
		return &p.Name, nil
	case filter.Null:
		return nil, nil
	case filter.Session:
		text, ok := v.session.Lookup(p.Name)
		if !ok {
			// Absent is never true and never null: the rule can't be decided.
			return nil, errcode.New(errcode.NotFound, "missing session variable: %q", p.Name).At("$")
		}
		return &text, nil
	case filter.Claim:
		return v.claim(p), nil
	case filter.Late:
		if v.late == nil {
			return nil, fmt.Errorf("bind: no policy for the value %s", p.Name)
		}
		return v.late(p.Name)
	case filter.Variable:
		return v.variable(p)
	case filter.Array:
		return v.array(p)
	case filter.Encoded:
		return v.encoded(p)
	case filter.Document:
		return v.document(p)
	case filter.SessionObject:
		return v.sessionObject()
	}
	return nil, fmt.Errorf("bind: no value of origin %d", p.From)
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// claim is a session variable as a policy sees it. Policies compare texts: another
// spelling of the same uuid is another text, and NUL is in none that Postgres has.
func (v *values) claim(p *filter.Param) *string {
	text, ok := v.session.Variables[p.Name]
	if !ok || p.Type.Name == "uuid" && !uuidForm.MatchString(text) || strings.IndexByte(text, 0) >= 0 {
		return nil
	}
	return &text
}

// sessionObject is what a function's session argument gets.
func (v *values) sessionObject() (*string, error) {
	text, err := json.Marshal(v.session.Variables)
	if err != nil {
		return nil, fmt.Errorf("bind: encode the session: %w", err)
	}
	out := string(text)
	if v.session.Variables == nil {
		out = "{}"
	}
	return &out, nil
}

func (v *values) variable(p *filter.Param) (*string, error) {
	value, ok := lookup(v.variables[p.Name], p.Path)
	if !ok {
		return nil, fmt.Errorf("bind: variable %s has no %v", p.Name, p.Path)
	}
	if value == nil {
		return nil, nil
	}
	if path, ok := value.(string); ok && p.JSONPath {
		text, err := plan.JSONPath(path)
		if err != nil {
			return nil, errcode.New(errcode.ParseFailed, "parse json path error: %s", err.Error()).At("$")
		}
		return &text, nil
	}
	text, err := plan.Text(value, p.Type)
	if err != nil {
		return nil, errcode.New(errcode.ValidationFailed, "variable %q has the wrong form for type %q", p.Name, p.Type.Name).Because(err)
	}
	if strings.IndexByte(text, 0) >= 0 {
		return nil, errcode.New(errcode.DataException, "variable %q has a NUL character, which Postgres can't hold", p.Name)
	}
	return &text, nil
}

func (v *values) array(p *filter.Param) (*string, error) {
	elements := make([]*string, len(p.Items))
	for i := range p.Items {
		text, err := v.value(&p.Items[i])
		if err != nil {
			return nil, err
		}
		elements[i] = text
	}
	text := catalog.ArrayOf(elements)
	return &text, nil
}

// document is JSON text whose pieces stand between values of variables.
func (v *values) document(p *filter.Param) (*string, error) {
	var out strings.Builder
	for i := range p.Items {
		text, err := v.value(&p.Items[i])
		if err != nil {
			return nil, err
		}
		if text == nil {
			out.WriteString("null")
			continue
		}
		out.WriteString(*text)
	}
	text := out.String()
	return &text, nil
}

func lookup(value any, path []any) (any, bool) {
	for _, key := range path {
		switch at := key.(type) {
		case string:
			object, _ := value.(map[string]any)
			member, ok := object[at]
			if !ok {
				return nil, false
			}
			value = member
		case int:
			list, ok := value.([]any)
			if !ok && at == 0 { // a single value where a list is wanted
				continue
			}
			if at >= len(list) {
				return nil, false
			}
			value = list[at]
		}
	}
	return value, true
}

var errRecords = errors.New("bind: rows of an insert are not objects")

// records writes the rows of an insert as a JSON array for json_to_recordset.
func (v *values) records(r *plan.Records) (string, error) {
	value, _ := lookup(v.variables[r.Variable], r.Path)
	list, ok := value.([]any)
	if !ok {
		return "", errRecords
	}
	out := []byte{'['}
	for i, item := range list {
		object, ok := item.(map[string]any)
		if !ok {
			return "", errRecords
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, '{')
		for j, key := range r.Keys {
			if j > 0 {
				out = append(out, ',')
			}
			out = append(out, '"')
			out = append(out, plan.RecordKey(j)...)
			out = append(out, '"', ':')
			var err error
			if out, err = appendJSON(out, object[key]); err != nil {
				return "", err
			}
		}
		out = append(out, '}')
	}
	return string(append(out, ']')), nil
}

// Bindable reports whether what a session and its variables bring is enough for
// all statements of a program: the error is the one that Run would end with. It
// runs nothing. What depends on rows that are yet to be written is not tried.
func (x *Executor) Bindable(ctx context.Context, p *Program, r Request) error {
	v := values{session: &r.Session, variables: r.Variables, late: x.late(ctx, r.Session)}
	for i, s := range p.steps {
		if empty(p.Plan.Fields[i].Insert) {
			continue
		}
		for _, st := range s.statements() {
			if err := v.bindable(st); err != nil {
				return err
			}
		}
	}
	for _, j := range p.joins {
		if err := v.bindable(j.statement); err != nil {
			return err
		}
	}
	return nil
}

func (v *values) bindable(st dialect.Statement) error {
	for i := range st.Params {
		p := &st.Params[i]
		if p.Written || p.Affected || p.Key > 0 {
			continue
		}
		if _, err := v.parameter(p); err != nil {
			return err
		}
	}
	return nil
}
