package codegen

import (
	"slices"
	"strconv"
	"strings"

	"tenantry/tenants/model"
)

const pyKeywords = `False None True and as assert async await break class continue def del elif else except finally for from global if import in is
lambda nonlocal not or pass raise return try while with yield`

// pyTaken are names that the types of a contract must not take, pyUsed those that
// a function must not.
const (
	pyTaken = "Any Literal NotRequired TypeAlias TypedDict Arguments Output str int float bool list dict annotations object"
	pyUsed  = `ActionError Arguments Call FastAPI Flask Output PENDING Request Response JSONResponse answer app body call input jsonify output threading receive request
run_in_threadpool status data OPERATION webhook type id print len str int float bool list dict object`
)

// python makes the files of a framework: contract, check and scaffold.
func python(scaffold ...string) func(*contract, Options) ([]File, error) {
	return func(c *contract, o Options) ([]File, error) {
		names := reserve(pyKeywords, pyTaken)
		d := dialect{names: map[string]string{}}
		for _, t := range c.types {
			d.names[t.name] = names.take(t.name)
		}
		d.typeOf = func(f field, _ string) string { return c.pyType(d.names, f.ref) }
		d.fieldAs = func(_ namer, name string) string { return name }
		d.valueAs = func(_ *declared, value string) string { return value }
		v := c.view(d, o)
		for i := range v.Types {
			v.Types[i].Functional = functional(v.Types[i].Fields)
		}
		v.Function = reserve(pyKeywords, pyUsed).take(snake(c.action))
		v.Module = c.distinct(func(action string) string { return reserve(pyKeywords).take(action) })
		v.delegate(o, pyText)
		if s, ok := c.sample(c.pyLiterals(), c.output, nil); ok {
			v.Sample, v.Later = s.print("    ", 1), c.async
		}
		var files []File
		add := func(template, name string, scaffold bool) error {
			text, err := render(template, v)
			files = append(files, File{Name: name, Content: text, Scaffold: scaffold})
			return err
		}
		for _, name := range scaffold {
			if err := add(c.framework+"/"+name, name, true); err != nil {
				return nil, err
			}
		}
		if err := add("python/contract.py", "tenantry/actions/"+v.Module+".py", false); err != nil {
			return nil, err
		}
		if err := add("python/webhook.py", "tenantry/webhook.py", false); err != nil {
			return nil, err
		}
		return sorted(files), nil
	}
}

// functional reports whether a member is named so that a class can't have it.
func functional(fields []fieldView) bool {
	keywords := reserve(pyKeywords)
	return slices.ContainsFunc(fields, func(f fieldView) bool { return keywords[f.JSON] })
}

// Functional reports whether the arguments can't be written as a class.
func (v view) Functional() bool { return functional(v.Arguments) }

func (c *contract) pyType(names map[string]string, ref model.TypeRef) string {
	text := pyScalars[scalars[ref.Name]]
	switch t := c.byName[ref.Name]; {
	case ref.Of != nil:
		text = "list[" + c.pyType(names, *ref.Of) + "]"
	case t != nil:
		text = names[t.name]
	}
	if !ref.NonNull && text != "Any" {
		text += " | None"
	}
	return text
}

var pyScalars = map[form]string{
	textForm: "str", integerForm: "int", floatForm: "float", booleanForm: "bool", exactForm: "int | float | str", anyForm: "Any",
}

func (c *contract) pyLiterals() literals {
	return literals{
		truth: "True", object: "{}", number: "0", quote: strconv.Quote,
		enum:     func(_ *declared, value string) string { return strconv.Quote(value) },
		objectOf: func(*declared, model.TypeRef) (string, string) { return "{", "}" },
		key:      func(_ *declared, f field) string { return strconv.Quote(f.name) + ": " },
		list:     func(model.TypeRef) (string, string) { return "[", "]" },
	}
}

// sorted puts what people edit first.
func sorted(files []File) []File {
	slices.SortFunc(files, func(a, b File) int {
		if a.Scaffold != b.Scaffold {
			if a.Scaffold {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return files
}
