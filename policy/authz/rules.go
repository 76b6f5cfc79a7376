package authz

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// rules is what the modules of a project define.
type rules struct {
	has   map[string]bool // names of the rules of package authz itself
	tests []test
	// modules as they were parsed, by name.
	modules map[string]*ast.Module
}

// test is a test_ rule, run when the modules are saved.
type test struct {
	path string
	at   *ast.Location
}

// isTest reports whether a rule is a test of its package.
func isTest(rule *ast.Rule) bool {
	ref := rule.Head.Ref()
	return len(ref) == 1 && strings.HasPrefix(strings.Trim(ref[0].String(), `"`), "test_")
}

// inspect checks what the compiler does not: the package, and the shape of the
// rules that are asked.
func inspect(modules map[string]*ast.Module) (*rules, error) {
	found := &rules{has: map[string]bool{}, modules: modules}
	var failed []Problem
	for name, module := range modules {
		path := module.Package.Path.String()
		if path != root && !strings.HasPrefix(path, root+".") && !strings.HasPrefix(path, root+"[") {
			at := module.Package.Location
			failed = append(failed, Problem{name, at.Row, at.Col,
				fmt.Sprintf("expected package authz or a package below it, got %s", strings.TrimPrefix(path, "data."))})
			continue
		}
		for _, at := range openKeys(module) {
			failed = append(failed, Problem{name, at.Row, at.Col, "the keys of an object have to be constants; write {key: value | key := …} for others"})
		}
		for _, rule := range module.Rules {
			first := strings.Trim(rule.Head.Ref()[0].String(), `"`)
			if isTest(rule) {
				found.addTest(path+"."+first, rule.Location)
			}
			if chained(rule) > maxElse {
				failed = append(failed, Problem{name, rule.Location.Row, rule.Location.Col, fmt.Sprintf("expected at most %d else in a row", maxElse)})
			}
			if path != root {
				continue
			}
			found.has[first] = true
			if message := refuse(first, rule); message != "" {
				failed = append(failed, Problem{name, rule.Location.Row, rule.Location.Col, message})
			}
		}
	}
	if failed != nil {
		slices.SortFunc(failed, func(a, b Problem) int {
			if a.Module != b.Module {
				return strings.Compare(a.Module, b.Module)
			}
			return a.Row - b.Row
		})
		return nil, &CompileError{failed}
	}
	return found, nil
}

// openKeys are the places of objects with a key that is no constant: partial
// evaluation does not find a member by a key that it does not know yet, and takes
// what needs it for undefined, also under not.
func openKeys(module *ast.Module) (places []*ast.Location) {
	ast.WalkTerms(module, func(t *ast.Term) bool {
		if object, ok := t.Value.(ast.Object); ok {
			object.Until(func(key, _ *ast.Term) bool {
				if ast.IsConstant(key.Value) {
					return false
				}
				at := t.Location
				if at == nil {
					at = module.Package.Location
				}
				places = append(places, at)
				return true
			})
		}
		return false
	})
	return places
}

// maxElse bounds chains of else: compiling one takes the square of its length.
const maxElse = 200

func chained(rule *ast.Rule) (n int) {
	for ; rule.Else != nil; rule = rule.Else {
		n++
	}
	return n
}

func (r *rules) addTest(path string, at *ast.Location) {
	if !slices.ContainsFunc(r.tests, func(t test) bool { return t.path == path }) {
		r.tests = append(r.tests, test{path, at})
	}
}

// booleans are the rules that have to be true or false.
var booleans = []string{"allow", "allow_operation", "allow_column", "filter"}

// refuse says why a rule of package authz is not accepted, or nothing.
func refuse(name string, rule *ast.Rule) string {
	plain := len(rule.Head.Ref()) == 1 && rule.Head.Key == nil && len(rule.Head.Args) == 0
	switch {
	case slices.Contains(booleans, name):
		if !plain {
			return fmt.Sprintf("expected %s to be a rule with a boolean value, such as: %s if { … }", name, name)
		}
		if rule.Default && ast.Boolean(true).Compare(rule.Head.Value.Value) == 0 {
			return fmt.Sprintf("default %s := true would allow whatever the other rules cannot decide: write the conditions as rules", name)
		}
		if name == "filter" && rule.Else != nil {
			return "else cannot be translated to SQL; write the negated condition in another rule"
		}
	case name == "reason":
		if rule.Head.Key == nil || len(rule.Head.Args) != 0 {
			return "expected reason to be a set of strings, such as: reason contains \"…\" if { … }"
		}
	case name == "masks":
		ref := rule.Head.Ref()
		if _, ok := ref[len(ref)-1].Value.(ast.String); len(ref) != 2 || !ok || rule.Head.Key != nil && len(ref) != 2 || len(rule.Head.Args) != 0 {
			return "expected masks to name a column, such as: masks.email := null if { … }"
		}
		if rule.Else != nil {
			return "else cannot be translated to SQL; write the negated condition in another rule"
		}
	}
	return ""
}
