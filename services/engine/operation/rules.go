package operation

import (
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"
	checks "github.com/vektah/gqlparser/v2/validator/rules"

	"tenantry/services/engine/schema"
)

// specified are gqlparser's rules that run after our own walk, against the few
// definitions that the operation touches. Left out: OverlappingFieldsCanBeMerged
// (quadratic; group decides the same), ValuesOfCorrectType (the dialect's values
// differ: offset as text), NoUnusedVariables and NoUnusedFragments (the dialect
// accepts the one, extract does the other).
var specified = []validator.Rule{
	checks.FieldsOnCorrectTypeRule,
	checks.FragmentsOnCompositeTypesRule,
	checks.KnownArgumentNamesRule,
	checks.KnownDirectivesRule,
	checks.KnownFragmentNamesRule,
	checks.KnownRootTypeRule,
	checks.KnownTypeNamesRule,
	checks.LoneAnonymousOperationRule,
	checks.MaxIntrospectionDepth,
	checks.NoFragmentCyclesRule,
	checks.NoUndefinedVariablesRule,
	checks.PossibleFragmentSpreadsRule,
	checks.ProvidedRequiredArgumentsRule,
	checks.ScalarLeafsRule,
	checks.UniqueArgumentNamesRule,
	checks.UniqueDirectivesPerLocationRule,
	checks.UniqueFragmentNamesRule,
	checks.UniqueInputFieldNamesRule,
	checks.UniqueVariableNamesRule,
	checks.VariablesAreInputTypesRule,
	checks.VariablesInAllowedPositionRule,
}

// maxReach bounds the work of the rules: they walk every fragment again from
// every other one that reaches it.
const maxReach = 100_000

func rules(op *Operation) error {
	if !within(op, maxReach) {
		return invalid("$.query", "the fragments of the operation use each other too often")
	}
	partial := &ast.Schema{Types: op.types, Directives: schema.Directives(),
		Query: op.types[schema.QueryRoot], Mutation: op.types[schema.MutationRoot], Subscription: op.types[schema.SubscriptionRoot],
		PossibleTypes: map[string][]*ast.Definition{}}
	for name, d := range op.types {
		if d.Kind == ast.Object {
			partial.PossibleTypes[name] = []*ast.Definition{d}
		}
		for _, i := range d.Interfaces {
			partial.AddPossibleType(i, d)
		}
		for _, member := range d.Types {
			if of := op.types[member]; of != nil {
				partial.AddPossibleType(name, of)
			}
		}
	}
	//nolint:staticcheck // ValidateWithRules sorts the rules once per rule and request
	errs := validator.Validate(partial, op.Doc, specified...)
	if len(errs) > 0 {
		return invalid("$", "%s", shorten(errs[0].Message)).WithInternal(errs[0].Rule)
	}
	return nil
}

// within reports whether walking every fragment, and all that it reaches, takes
// at most budget steps.
func within(op *Operation, budget int) bool {
	var walk func(set ast.SelectionSet, seen map[string]bool) bool
	walk = func(set ast.SelectionSet, seen map[string]bool) bool {
		for _, s := range set {
			if budget--; budget < 0 {
				return false
			}
			ok := true
			switch s := s.(type) {
			case *ast.Field:
				ok = walk(s.SelectionSet, seen)
			case *ast.InlineFragment:
				ok = walk(s.SelectionSet, seen)
			case *ast.FragmentSpread:
				if !seen[s.Name] {
					seen[s.Name] = true
					ok = walk(op.fragments[s.Name].SelectionSet, seen)
				}
			}
			if !ok {
				return false
			}
		}
		return true
	}
	for _, f := range op.Doc.Fragments {
		if !walk(f.SelectionSet, map[string]bool{}) {
			return false
		}
	}
	return true
}
