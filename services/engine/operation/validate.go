package operation

import (
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/services/engine/schema"
)

// variable is a declared variable and how it is used.
type variable struct {
	def *ast.VariableDefinition
	// at is where it is used first; nil when it is not.
	at *path
	// uses are the places that ask for more than the declared type.
	uses []use
	// bigInt is true when all its uses take a 64-bit integer for an Int.
	bigInt bool
}

// use is a place that refuses values which the variable's type allows.
type use struct {
	at          *path
	refusesNull bool
	nonNegative bool
	typ         *ast.Type
}

// validation walks an operation as it will be executed: the selections of one
// response object together, fragments expanded. The schema has no abstract types,
// so two fields of one key in one object always merge, and comparing them here
// finds exactly the conflicts, in linear time, that the specification's pairwise
// rule finds in quadratic.
type validation struct {
	op         *Operation
	visited    int
	checked    map[*ast.Field]bool
	signatures map[*ast.Field]int
	interned   map[string]int
	directives map[*ast.Directive]bool
}

func validate(op *Operation) error {
	v := &validation{op: op, checked: map[*ast.Field]bool{}, signatures: map[*ast.Field]int{},
		interned: map[string]int{}, directives: map[*ast.Directive]bool{}}
	for _, d := range op.Def.VariableDefinitions {
		if op.variables[d.Variable] != nil {
			return invalid("$", "multiple definitions for variable %q", d.Variable)
		}
		op.variables[d.Variable] = &variable{def: d, bigInt: true}
		if err := v.checkDirectives(d.Directives, ast.LocationVariableDefinition, nil); err != nil {
			return err
		}
	}
	if err := v.operation(); err != nil {
		return err
	}
	for _, d := range op.Def.VariableDefinitions {
		if err := v.variableDefinition(d); err != nil {
			return err
		}
	}
	return rules(op)
}

func (v *validation) operation() error {
	op := v.op
	if err := v.checkDirectives(op.Def.Directives, locations[op.Type], nil); err != nil {
		return err
	}
	rootName := op.schema.RootType(op.Type)
	groups, err := v.collect([]ast.SelectionSet{op.Def.SelectionSet}, rootName, nil)
	if err != nil {
		return err
	}
	if len(groups) > MaxRootFields {
		return invalid("$.query", "the operation has %d root fields, at most %d are allowed", len(groups), MaxRootFields)
	}
	op.Size.RootFields = len(groups)
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.nodes[0].Name
		op.introspects = op.introspects || names[i] == "__schema" || names[i] == "__type"
	}
	root := op.schema.RootDefinition(op.Type, names)
	if root == nil {
		return invalid("$", "no %ss exist", op.Type)
	}
	op.types[root.Name] = root
	return v.groups(root, groups, nil, 0)
}

var locations = map[ast.Operation]ast.DirectiveLocation{
	ast.Query: ast.LocationQuery, ast.Mutation: ast.LocationMutation, ast.Subscription: ast.LocationSubscription,
}

// group is the fields of one response key.
type group struct {
	key   string
	nodes []*ast.Field
}

// groups checks the fields of one object of type parent.
func (v *validation) groups(parent *ast.Definition, groups []*group, at *path, depth int) error {
	for _, g := range groups {
		if err := v.group(parent, g, at, depth); err != nil {
			return err
		}
	}
	return nil
}

func (v *validation) group(parent *ast.Definition, g *group, at *path, depth int) error {
	first := g.nodes[0]
	at = at.selection(first.Name)
	def := fieldDefinition(parent, first.Name)
	if def == nil {
		return invalid(at.String(), "field '%s' not found in type: '%s'", first.Name, parent.Name)
	}
	var sets []ast.SelectionSet
	for _, n := range g.nodes {
		if n.Name != first.Name {
			return invalid(at.String(), "selection of both '%s' and '%s' specify the same response name, '%s'", first.Name, n.Name, g.key)
		}
		if err := v.field(parent, def, n, at); err != nil {
			return err
		}
		if n != first && v.signature(n) != v.signature(first) {
			return invalid(at.String(), "inconsistent arguments between multiple selections of field '%s'", first.Name)
		}
		if len(n.SelectionSet) > 0 {
			sets = append(sets, n.SelectionSet)
		}
	}
	target := v.touch(def.Type.Name())
	switch {
	case target == nil:
		return invalid(at.String(), "field '%s' not found in type: '%s'", first.Name, parent.Name)
	case target.IsLeafType() && len(sets) > 0:
		return invalid(at.String(), "unexpected subselection set for non-object field")
	case target.IsLeafType():
		return nil
	case len(sets) == 0:
		return invalid(at.String(), "missing selection set for '%s'", first.Name)
	}
	if depth == 0 && (first.Name == "__schema" || first.Name == "__type") {
		depth = exempt
	}
	if depth != exempt {
		depth++
		v.op.Measure.Nodes += len(sets)
		v.op.Measure.Depth = max(v.op.Measure.Depth, depth)
	}
	if target.IsAbstractType() {
		return v.abstract(target, sets, at, depth)
	}
	groups, err := v.collect(sets, target.Name, at)
	if err != nil {
		return err
	}
	return v.groups(target, groups, at, depth)
}

// exempt is the depth below __schema and __type, which limits do not count.
const exempt = -1

var typename = &ast.FieldDefinition{Name: "__typename", Type: ast.NonNullNamedType("String", nil)}

func fieldDefinition(parent *ast.Definition, name string) *ast.FieldDefinition {
	if name == typename.Name {
		return typename
	}
	return parent.Fields.ForName(name)
}

// touch finds a definition and keeps it for the rules.
func (v *validation) touch(name string) *ast.Definition {
	if d := v.op.types[name]; d != nil {
		return d
	}
	d := v.op.schema.Definition(name)
	if d != nil {
		v.op.types[name] = d
	}
	return d
}

// field checks a field's arguments and directives, once however often its
// fragment is spread: a fragment stands on one type.
func (v *validation) field(parent *ast.Definition, def *ast.FieldDefinition, n *ast.Field, at *path) error {
	if v.checked[n] {
		return nil
	}
	v.checked[n] = true
	n.Definition, n.ObjectDefinition = def, parent
	if err := v.checkDirectives(n.Directives, ast.LocationField, at); err != nil {
		return err
	}
	given := make(map[string]bool, len(n.Arguments))
	for _, a := range n.Arguments {
		arg := def.Arguments.ForName(a.Name)
		switch {
		case arg == nil:
			return invalid(at.String(), "'%s' has no argument named '%s'", n.Name, a.Name)
		case given[a.Name]:
			return invalid(at.String(), "'%s' has several arguments named '%s'", n.Name, a.Name)
		}
		given[a.Name] = true
		place := place{at: at.key("args").key(a.Name), nonNegative: schema.NonNegative(arg), bigInt: schema.TakesBigInt(arg), hasDefault: arg.DefaultValue != nil}
		if err := v.value(a.Value, arg.Type, place); err != nil {
			return err
		}
	}
	for _, arg := range def.Arguments {
		if arg.Type.NonNull && arg.DefaultValue == nil && !given[arg.Name] {
			return invalid(at.key("args").key(arg.Name).String(), "missing required field '%s'", arg.Name)
		}
	}
	return nil
}

// signature is a number that two fields share exactly when their arguments are equal.
func (v *validation) signature(n *ast.Field) int {
	if id, ok := v.signatures[n]; ok {
		return id
	}
	var p printer
	p.arguments(sortedArguments(n.Arguments))
	text := p.String()
	id, ok := v.interned[text]
	if !ok {
		id = len(v.interned) + 1
		v.interned[text] = id
	}
	v.signatures[n] = id
	return id
}

func (v *validation) variableDefinition(d *ast.VariableDefinition) error {
	t := v.touch(d.Type.Name())
	at := (&path{}).key("variables").key(d.Variable)
	switch {
	case t == nil:
		return invalid(at.String(), "variable '%s' is declared as '%s', a type that does not exist", d.Variable, d.Type)
	case !t.IsInputType():
		return invalid(at.String(), "variable '%s' is declared as '%s', which is not an input type", d.Variable, d.Type)
	case d.DefaultValue == nil:
		return nil
	}
	if d.DefaultValue.Kind == ast.NullValue && !d.Type.NonNull {
		return nil
	}
	p := place{at: at}
	if use := v.op.variables[d.Variable]; use.at != nil {
		p.bigInt = use.bigInt
	}
	return v.value(d.DefaultValue, d.Type, p)
}

func index(at *path, i int) *path { return &path{at, "[" + strconv.Itoa(i) + "]"} }
