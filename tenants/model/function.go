package model

import (
	"cmp"
	"fmt"
	"slices"

	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
)

// Callable is a SQL function with what its arguments get.
type Callable struct {
	Name catalog.Name
	// Arguments are all of the function's, in its order.
	Arguments []CallArgument
	// Input is the name of the input type for the given arguments; empty when
	// there are none.
	Input string
}

// CallArgument is one argument of a function.
type CallArgument struct {
	From ArgumentSource
	// Column holds name, scalar and type, like a column; without a Name in GraphQL
	// when the argument is not Given.
	*Column
}

// ArgumentSource says where an argument's value comes from.
type ArgumentSource uint8

// The sources of arguments.
const (
	// Given by the client.
	Given ArgumentSource = iota
	// RowArgument is the row that a computed field belongs to.
	RowArgument
	// SessionArgument is the session's variables as a JSON object.
	SessionArgument
)

// Given are the arguments that a client may give.
func (c *Callable) Given() []CallArgument {
	var out []CallArgument
	for _, a := range c.Arguments {
		if a.From == Given {
			out = append(out, a)
		}
	}
	return out
}

// Required reports whether some argument has to be given.
func (c *Callable) Required() bool {
	return slices.ContainsFunc(c.Arguments, func(a CallArgument) bool { return a.From == Given && !a.Default })
}

// Function is a tracked function: root fields whose rows are those of Target.
type Function struct {
	Callable
	Source string
	// Target is the table whose rows it returns: its permissions count.
	Target *Table
	// Set is false for a function that returns one row or null.
	Set bool
	// Mutation is true when the fields are under the mutation root.
	Mutation bool
	// Infer is true for one that a role may be let call because it may read
	// the target: it has no effects.
	Infer bool
	Field RootField
	// Aggregate is the field for aggregates; without a name when Set is false.
	Aggregate RootField
	// Roles that may call it, sorted; admin always may.
	Roles    []string
	Metadata *metadata.Function
	Pointer  string
}

// functions resolves the tracked functions; one with any mistake is left out.
func (r *resolver) functions() {
	for i := range r.model.Metadata.Sources {
		source := &r.model.Metadata.Sources[i]
		if r.namings[source.Name] == nil {
			continue // reported with its source
		}
		for j := range source.Functions {
			f := &functionResolver{resolver: r, source: source.Name, doc: &source.Functions[j],
				pointer: fmt.Sprintf("$.sources[%d].functions[%d]", i, j)}
			if found := f.resolve(); found != nil {
				r.model.Functions = append(r.model.Functions, found)
			}
		}
	}
	slices.SortFunc(r.model.Functions, func(a, b *Function) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Name.Schema, b.Name.Schema), cmp.Compare(a.Name.Name, b.Name.Name))
	})
}

type functionResolver struct {
	*resolver
	source  string
	doc     *metadata.Function
	pointer string
}

func (f *functionResolver) name() catalog.Name {
	return catalog.Name{Schema: f.doc.Function.Schema, Name: f.doc.Function.Name}
}

func (f *functionResolver) owner() string {
	return fmt.Sprintf("function %s in source %s", ShortName(f.name()), f.source)
}

func (f *functionResolver) fail(format string, args ...any) *Function {
	f.report(Inconsistency{Type: "function", Name: f.owner(), Definition: f.doc, Pointer: f.pointer,
		Reason: fmt.Sprintf("%sin function %q: %s", reasonPrefix, ShortName(f.name()), fmt.Sprintf(format, args...))})
	return nil
}

func (f *functionResolver) refuse(format string, args ...any) *Function {
	return f.fail("the function %q cannot be tracked because %s", ShortName(f.name()), fmt.Sprintf(format, args...))
}

func (f *functionResolver) resolve() *Function {
	stored, err := onlyOverload(f.model.Catalogs[f.source], f.name())
	if err != nil {
		return f.fail("%s", err)
	}
	configuration := f.doc.Configuration
	if configuration == nil {
		configuration = &metadata.FunctionConfiguration{}
	}
	found := &Function{Source: f.source, Set: stored.Set, Metadata: f.doc, Pointer: f.pointer, Infer: stored.Volatility != catalog.Volatile}
	found.Mutation = configuration.ExposedAs == "mutation" || configuration.ExposedAs == "" && stored.Volatility == catalog.Volatile
	target, ok := f.model.Table(f.source, catalog.Name{Schema: stored.Returns.Schema, Name: stored.Returns.Name})
	switch {
	case stored.Variadic:
		return f.refuse("functions with VARIADIC arguments are not supported")
	case found.Mutation && stored.Volatility != catalog.Volatile:
		return f.refuse("a function exposed as a mutation has to be VOLATILE")
	case stored.Outputs || stored.Returns.Array() || f.model.Catalogs[f.source].Types[stored.Returns.Schema+"."+stored.Returns.Name].Kind != catalog.CompositeType:
		return f.refuse("the function does not return a \"COMPOSITE\" type")
	case !ok:
		return f.refuse("the table %q that it returns is not tracked", ShortName(catalog.Name{Schema: stored.Returns.Schema, Name: stored.Returns.Name}))
	}
	found.Target = target
	for _, p := range f.doc.Permissions {
		found.Roles = append(found.Roles, p.Role)
	}
	slices.Sort(found.Roles)
	found.Roles = slices.Compact(found.Roles)
	return f.named(found, stored, configuration)
}

// named gives a function its names in GraphQL and claims them.
func (f *functionResolver) named(found *Function, stored *catalog.Function, configuration *metadata.FunctionConfiguration) *Function {
	naming := f.namings[f.source]
	custom := &metadata.TableConfiguration{CustomName: configuration.CustomName}
	ofTypes, ofRoots := naming.baseNames(f.name(), custom)
	if !usableName(ofTypes) || !usableName(ofRoots) {
		return f.refuse("%q is not a valid GraphQL name; give it a custom_name", ofTypes)
	}
	roots := configuration.CustomRootFields
	if roots == nil {
		roots = &metadata.FunctionRootFields{}
	}
	comment := cmp.Or(f.doc.Comment, stored.Comment)
	found.Field = RootField{Name: cmp.Or(roots.Function, naming.rootField("%s", ofRoots)),
		Comment: cmp.Or(comment, fmt.Sprintf("execute function %q which returns %q", ShortName(f.name()), ShortName(found.Target.Name)))}
	if found.Set {
		found.Aggregate = RootField{Name: cmp.Or(roots.FunctionAggregate, naming.rootField("%s_aggregate", ofRoots)),
			Comment: cmp.Or(comment, fmt.Sprintf("execute function %q and query aggregates on result of table type %q",
				ShortName(f.name()), ShortName(found.Target.Name)))}
	}
	fields := []*RootField{&found.Field}
	if found.Set {
		fields = append(fields, &found.Aggregate)
	}
	var names []string
	for _, field := range fields {
		if !usableName(field.Name) {
			return f.refuse("%q is not a valid GraphQL name", field.Name)
		}
		field.Name = naming.root(field.Name)
		names = append(names, field.Name)
	}
	callable, reasons := f.callable(f.source, stored, callRule{session: configuration.SessionArgument})
	if len(reasons) > 0 {
		return f.refuse("%s", reasons[0])
	}
	found.Callable = callable
	claimed := map[string][]string{naming.Root(QueryRoot): names, naming.Root(SubscriptionRoot): names}
	if found.Mutation {
		claimed = map[string][]string{naming.Root(MutationRoot): names}
	}
	if err := f.names.claimRoots(f.owner(), claimed); err != nil {
		return f.fail("%s", err)
	}
	if len(found.Given()) > 0 {
		found.Input = naming.typeName(ofTypes + naming.TypePart("_args"))
		if err := f.names.claimTypes(f.owner(), []string{found.Input}); err != nil {
			f.names.releaseRoots(f.owner(), claimed)
			return f.fail("%s", err)
		}
	}
	return found
}

// onlyOverload finds a function that is not overloaded.
func onlyOverload(c *catalog.Catalog, name catalog.Name) (*catalog.Function, error) {
	var overloads []*catalog.Function
	if c != nil {
		overloads = c.Overloads(name)
	}
	switch len(overloads) {
	case 0:
		return nil, fmt.Errorf("no such function exists: %q", ShortName(name))
	case 1:
		return overloads[0], nil
	}
	return nil, fmt.Errorf("the function %q is overloaded: overloaded functions are not supported", ShortName(name))
}

// callRule says which arguments are not the client's.
type callRule struct {
	// table of a computed field; nil for a tracked function.
	table *Table
	// row names the argument that gets the row; empty means the first one.
	row string
	// session names the argument that gets the session; empty means none.
	session string
}

// callable gives a function's arguments their sources and names. What is wrong
// with them comes back as reasons, as parts of a sentence.
func (r *resolver) callable(source string, stored *catalog.Function, rule callRule) (Callable, []string) {
	out := Callable{Name: stored.Name}
	naming, c := r.namings[source], r.model.Catalogs[source]
	reasons := rule.problems(stored)
	unnamed := 0
	seen := map[string]bool{}
	for i, a := range stored.Arguments {
		argument := CallArgument{Column: resolveColumn(c, &catalog.Column{Name: a.Name, Type: a.Type, Default: a.Default, Nullable: true})}
		switch {
		case rule.isRow(i, a):
			argument.From = RowArgument
		case rule.session != "" && a.Name == rule.session:
			argument.From = SessionArgument
		default:
			name := naming.Field(a.Name)
			if a.Name == "" {
				unnamed++
				name = fmt.Sprintf("arg_%d", unnamed)
			}
			if !usableName(name) || seen[name] {
				reasons = append(reasons, fmt.Sprintf("the name %q of an argument is no GraphQL name, or there twice", name))
			}
			seen[name] = true
			argument.Name = name
			r.renameScalar(argument.Column)
		}
		out.Arguments = append(out.Arguments, argument)
	}
	return out, reasons
}

func (rule callRule) isRow(i int, a catalog.Argument) bool {
	if rule.table == nil {
		return false
	}
	return rule.row == "" && i == 0 || rule.row != "" && a.Name == rule.row
}

// problems are the arguments that a rule names and the function lacks.
func (rule callRule) problems(stored *catalog.Function) []string {
	var reasons []string
	function := fmt.Sprintf("the function %q", ShortName(stored.Name))
	find := func(name string) *catalog.Argument {
		for i := range stored.Arguments {
			if stored.Arguments[i].Name == name {
				return &stored.Arguments[i]
			}
		}
		return nil
	}
	if rule.table != nil && len(stored.Arguments) > 0 {
		row, which := &stored.Arguments[0], "first argument of "+function
		if rule.row != "" {
			row, which = find(rule.row), fmt.Sprintf("%q argument of %s", rule.row, function)
		}
		switch {
		case row == nil:
			reasons = append(reasons, fmt.Sprintf("%q is not an input argument of %s", rule.row, function))
		case row.Type != catalog.TypeRef{Schema: rule.table.Name.Schema, Name: rule.table.Name.Name}:
			if row.Type.Schema == "pg_catalog" {
				reasons = append(reasons, which+" is not COMPOSITE type")
			}
			reasons = append(reasons, fmt.Sprintf("%s of type \"%s.%s\" is not the table to which the computed field is being added", which, row.Type.Schema, row.Type.Name))
		}
	}
	if rule.session != "" {
		switch session := find(rule.session); {
		case session == nil:
			reasons = append(reasons, fmt.Sprintf("%q is not an input argument of %s", rule.session, function))
		case !isJSON(session.Type):
			reasons = append(reasons, fmt.Sprintf("%q argument of %s is not of type JSON", rule.session, function))
		}
	}
	return reasons
}

func isJSON(t catalog.TypeRef) bool {
	return t.Schema == "pg_catalog" && (t.Name == "json" || t.Name == "jsonb") && !t.Array()
}

// renameScalar keeps a scalar apart from a type that has its name, as a table's
// row type has.
func (r *resolver) renameScalar(c *Column) {
	if _, taken := r.names.types[c.Scalar]; taken && !builtIn(c.Scalar) {
		c.Scalar += "_scalar"
	}
}
