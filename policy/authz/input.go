package authz

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

const (
	maxInput     = 256 << 10 // bytes of names, texts and numbers in one input
	maxInputDeep = 64
)

var (
	errInputSize = errors.New("policy input is larger than 256 KiB")
	errInputDeep = errors.New("policy input is nested deeper than 64 levels")
)

// input builds the document of contracts §15 without going through JSON.
func input(r Request) (ast.Value, error) {
	c := converter{left: maxInput}
	variables := make([][2]*ast.Term, 0, len(r.Session.Variables))
	for name, value := range r.Session.Variables {
		variables = append(variables, [2]*ast.Term{c.text(name), c.text(value)})
	}
	columns := make([]*ast.Term, len(r.Resource.Columns))
	for i, name := range r.Resource.Columns {
		columns[i] = c.text(name)
	}
	args, err := c.object(r.Args, 0)
	if err != nil {
		return nil, err
	}
	doc := ast.NewObject(
		[2]*ast.Term{keyPoint, ast.StringTerm(string(r.Point))},
		[2]*ast.Term{keyNow, ast.NewTerm(ast.Number(strconv.FormatInt(time.Now().UnixNano(), 10)))},
		[2]*ast.Term{keyProject, ast.ObjectTerm([2]*ast.Term{keyID, c.text(r.Project)})},
		[2]*ast.Term{keySession, ast.ObjectTerm(
			[2]*ast.Term{keyRole, c.text(r.Session.Role)},
			[2]*ast.Term{keyVariables, ast.ObjectTerm(variables...)},
			[2]*ast.Term{keyAuth, c.text(string(r.Session.Auth))},
			[2]*ast.Term{keyIP, c.text(r.Session.IP)},
		)},
		[2]*ast.Term{keyOperation, ast.ObjectTerm(
			[2]*ast.Term{keyType, c.text(r.Operation.Type)},
			[2]*ast.Term{keyName, c.text(r.Operation.Name)},
			[2]*ast.Term{keyHash, c.text(r.Operation.Hash)},
		)},
		[2]*ast.Term{keyResource, ast.ObjectTerm(
			[2]*ast.Term{keyKind, c.text(r.Resource.Kind)},
			[2]*ast.Term{keySource, c.text(r.Resource.Source)},
			[2]*ast.Term{keySchema, c.text(r.Resource.Schema)},
			[2]*ast.Term{keyName, c.text(r.Resource.Name)},
			[2]*ast.Term{keyField, c.text(r.Resource.Field)},
			[2]*ast.Term{keyColumns, ast.ArrayTerm(columns...)},
		)},
		[2]*ast.Term{keyArgs, args},
	)
	if c.left < 0 {
		return nil, errInputSize
	}
	return doc, nil
}

// converter turns JSON values into terms and counts their bytes.
type converter struct{ left int }

func (c *converter) text(s string) *ast.Term {
	c.left -= len(s) + 1
	return ast.StringTerm(s)
}

// number counts a number, and refuses one that can't be compared in time.
func (c *converter) number(n ast.Number) error {
	c.left -= len(n)
	is, endless := extreme(n)
	if is {
		c.left -= extremeBytes
	}
	if endless {
		return errNumber
	}
	return nil
}

func (c *converter) object(m map[string]any, depth int) (*ast.Term, error) {
	pairs := make([][2]*ast.Term, 0, len(m))
	for name, v := range m {
		value, err := c.value(v, depth+1)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, [2]*ast.Term{c.text(name), value})
	}
	return ast.ObjectTerm(pairs...), nil
}

func (c *converter) value(v any, depth int) (*ast.Term, error) {
	if c.left--; c.left < 0 {
		return nil, errInputSize
	}
	if depth > maxInputDeep {
		return nil, errInputDeep
	}
	switch v := v.(type) {
	case string:
		return c.text(v), nil
	case json.Number:
		return ast.NewTerm(ast.Number(v)), c.number(ast.Number(v))
	case map[string]any:
		return c.object(v, depth)
	case []any:
		terms := make([]*ast.Term, len(v))
		for i, e := range v {
			var err error
			if terms[i], err = c.value(e, depth+1); err != nil {
				return nil, err
			}
		}
		return ast.ArrayTerm(terms...), nil
	case json.RawMessage:
		if c.left -= len(v); c.left < 0 {
			return nil, errInputSize
		}
		value, err := ast.ValueFromReader(bytes.NewReader(v))
		if err != nil {
			return nil, err
		}
		term := ast.NewTerm(value)
		ast.WalkTerms(term, func(x *ast.Term) bool {
			if n, ok := x.Value.(ast.Number); ok && err == nil {
				err = c.number(n)
			}
			return err != nil
		})
		return term, err
	default:
		value, err := ast.InterfaceToValue(v)
		return ast.NewTerm(value), err
	}
}
