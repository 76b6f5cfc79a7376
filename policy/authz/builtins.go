package authz

import (
	"errors"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// allowed lists the builtin functions that a project's modules may use: pure
// functions of their arguments whose cost is bounded by the arguments' size.
// What is not here does not compile. Time comes as input.now.
var allowed = strings.Fields(`
	eq assign equal neq gt gte lt lte internal.member_2 internal.member_3 internal.template_string internal.test_case internal.print print
	plus minus mul div rem round ceil floor abs and or intersection union
	count sum product max min sort
	array.concat array.slice array.reverse
	to_number concat format_int indexof substring contains startswith endswith lower upper split replace
	strings.any_prefix_match strings.any_suffix_match strings.count
	trim trim_left trim_prefix trim_right trim_suffix trim_space
	regex.match numbers.range
	object.subset object.union object.union_n object.remove object.filter object.get object.keys
	json.marshal json.unmarshal json.is_valid json.filter json.remove
	base64.encode base64.decode base64.is_valid base64url.encode base64url.encode_no_pad base64url.decode hex.encode hex.decode
	time.parse_ns time.parse_rfc3339_ns time.parse_duration_ns time.date time.clock time.weekday time.add_date time.diff time.format
	is_number is_string is_boolean is_array is_set is_object is_null type_name
	semver.is_valid semver.compare`)

// capabilities is shared by all compilers.
var capabilities = sync.OnceValue(func() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.AllowNet = []string{}
	c.Builtins = slices.DeleteFunc(slices.Clone(c.Builtins), func(b *ast.Builtin) bool {
		return b.Nondeterministic || !slices.Contains(allowed, b.Name)
	})
	return c
})

const (
	maxText      = 64 << 10  // bytes of a string that goes into or comes out of a builtin
	maxParts     = 32 << 10  // of a text
	maxSought    = 1_000_000 // terms of one value × terms of the other
	maxPattern   = 512
	maxSearched  = 4 << 10   // bytes of a text that is looked for in another: that takes up to the square
	maxRegexWork = 1_000_000 // instructions of the pattern × bytes of the subject
)

var (
	errText    = errors.New("a text is longer than 64 KiB")
	errNumber  = errors.New("a number has more than 64 digits, or an exponent beyond 308")
	errTerms   = errors.New("a value has too many members")
	errPattern = errors.New("a pattern is too costly for its text")
)

// A builtin call cannot be interrupted, so every allowed function is wrapped
// once for the process: arguments and results of a size that would outlast the
// deadline are errors, and an error denies.
func init() {
	for _, name := range allowed {
		f := topdown.GetBuiltin(name)
		if f == nil { // compiled away
			continue
		}
		topdown.RegisterBuiltinFunc(name, bounded(name, f))
	}
}

func bounded(name string, f topdown.BuiltinFunc) topdown.BuiltinFunc {
	walks, parses := slices.Contains(deep, name) || slices.Contains(shallow, name), name == "json.unmarshal"
	return func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		for _, o := range operands {
			if err := small(o); err != nil {
				return err
			}
		}
		if err := affordable(name, operands); err != nil {
			return err
		}
		if walks {
			if err := countable(name, operands); err != nil {
				return err
			}
		}
		return f(bctx, operands, func(result *ast.Term) error {
			if err := small(result); err != nil {
				return topdown.Halt{Err: err}
			}
			if parses && hasOutsize(result) {
				return topdown.Halt{Err: errNumber}
			}
			return iter(result)
		})
	}
}

// small looks at the value itself; members of a collection are bounded by the
// time that it took to build them.
func small(t *ast.Term) error {
	if t == nil { // the result of a function that has none
		return nil
	}
	switch v := t.Value.(type) {
	case ast.String:
		if len(v) > maxText {
			return errText
		}
	case ast.Number:
		if outsize(v) {
			return errNumber
		}
	}
	return nil
}

// affordable bounds the functions whose result or work is more than the sum of
// their arguments.
func affordable(name string, operands []*ast.Term) error {
	switch name {
	case "concat":
		if between, parts := textIn(operands[0]), membersOf(operands[1]); parts > maxParts || between*parts+textIn(operands[1]) > maxText {
			return errText
		}
	case "indexof", "trim", "trim_left", "trim_right":
		if textIn(operands[1]) > maxSearched {
			return errPattern
		}
	case "internal.template_string":
		total := 0
		for _, o := range operands {
			total += textIn(o)
		}
		if total > maxText {
			return errText
		}
	case "replace":
		subject, ok1 := operands[0].Value.(ast.String)
		old, ok2 := operands[1].Value.(ast.String)
		with, ok3 := operands[2].Value.(ast.String)
		if ok2 && len(old) > maxSearched {
			return errPattern
		}
		if ok1 && ok2 && ok3 && strings.Count(string(subject), string(old))*len(with)+len(subject) > maxText {
			return errText
		}
	case "sum", "product":
		return summable(name, operands[0])
	case "object.subset": // looks for one array in the other
		if sought(operands[0], operands[1]) {
			return errTerms
		}
	case "numbers.range":
		from, ok1 := operands[0].Value.(ast.Number)
		to, ok2 := operands[1].Value.(ast.Number)
		if ok1 && ok2 && farther(from, to, maxTerms) {
			return errTerms
		}
	case "regex.match":
		pattern, ok1 := operands[0].Value.(ast.String)
		subject, ok2 := operands[1].Value.(ast.String)
		if ok1 && ok2 && patternSize(string(pattern))*(len(subject)+1) > maxRegexWork {
			return errPattern
		}
	}
	return nil
}

// textIn counts the bytes of the strings directly in a term, until there are
// too many.
func textIn(t *ast.Term) int {
	total := 0
	add := func(x *ast.Term) {
		if s, ok := x.Value.(ast.String); ok {
			total += len(s)
		}
	}
	switch v := t.Value.(type) {
	case ast.String:
		total = len(v)
	case *ast.Array:
		for i := 0; i < v.Len() && total <= maxText; i++ {
			add(v.Elem(i))
		}
	case ast.Set:
		v.Foreach(add)
	}
	return total
}

// membersOf counts what is directly in an array or a set.
func membersOf(t *ast.Term) int {
	if c, ok := t.Value.(interface{ Len() int }); ok {
		return c.Len()
	}
	return 0
}

var patterns = struct {
	sync.Mutex
	size map[string]int
}{size: map[string]int{}}

// patternSize is the number of states of a regular expression; patterns that do
// not parse cost nothing because the builtin refuses them.
func patternSize(pattern string) int {
	if len(pattern) > maxPattern {
		return maxRegexWork + 1
	}
	patterns.Lock()
	size, known := patterns.size[pattern]
	patterns.Unlock()
	if known {
		return size
	}
	if tree, err := syntax.Parse(pattern, syntax.Perl); err == nil {
		if prog, err := syntax.Compile(tree.Simplify()); err == nil {
			size = len(prog.Inst)
		}
	}
	patterns.Lock()
	defer patterns.Unlock()
	if len(patterns.size) >= 4096 {
		clear(patterns.size)
	}
	patterns.size[pattern] = size
	return size
}
