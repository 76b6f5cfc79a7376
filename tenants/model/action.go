package model

import (
	"cmp"
	"fmt"
	"slices"

	"tenantry/tenants/metadata"
)

// actions resolves the actions; one with any mistake is left out, and all its
// mistakes are reported.
func (r *resolver) actions() {
	for i := range r.model.Metadata.Actions {
		a := &actionResolver{resolver: r, doc: &r.model.Metadata.Actions[i], pointer: fmt.Sprintf("$.actions[%d]", i), right: true}
		if found := a.resolve(); found != nil {
			r.model.Actions = append(r.model.Actions, found)
		}
	}
	slices.SortFunc(r.model.Actions, func(a, b *Action) int { return cmp.Compare(a.Name, b.Name) })
}

type actionResolver struct {
	*resolver
	doc     *metadata.Action
	pointer string
	right   bool
}

func (a *actionResolver) fail(key, reason string) {
	a.right = false
	a.report(Inconsistency{
		Type: "action", Name: "action " + a.doc.Name, Definition: a.doc, Reason: reason, Pointer: a.pointer + key,
	})
}

func (a *actionResolver) wrong(key, format string, args ...any) {
	a.fail(key, fmt.Sprintf("%sin action %q; %s", reasonPrefix, a.doc.Name, fmt.Sprintf(format, args...)))
}

func (a *actionResolver) resolve() *Action {
	doc := a.doc
	found := &Action{Name: doc.Name, Comment: doc.Comment, Metadata: doc, Query: doc.Definition.Type == "query"}
	if !usableName(doc.Name) {
		a.wrong(".name", "%q is not a valid GraphQL name", doc.Name)
	}
	switch doc.Definition.Type {
	case "", "mutation", "query":
	default:
		a.wrong(".definition.type", "the type %q is neither mutation nor query", doc.Definition.Type)
	}
	switch doc.Definition.Kind {
	case "", "synchronous":
	case "asynchronous":
		found.Async = true
		if found.Query {
			a.wrong(".definition.kind", "a query can't be asynchronous")
		}
	default:
		a.wrong(".definition.kind", "the kind %q is neither synchronous nor asynchronous", doc.Definition.Kind)
	}
	if doc.Definition.Handler == "" {
		a.wrong(".definition.handler", "the handler is empty")
	}
	a.calls(found)
	a.arguments(found)
	a.output(found)
	for _, p := range doc.Permissions {
		found.Roles = append(found.Roles, p.Role)
	}
	slices.Sort(found.Roles)
	found.Roles = slices.Compact(found.Roles)
	if !a.right {
		return nil
	}
	if err := a.claim(found); err != nil {
		a.fail(".name", reasonPrefix+err.Error())
		return nil
	}
	return found
}

// claim takes the names of an action: its root fields, and the type of its runs.
func (a *actionResolver) claim(found *Action) error {
	owner, roots := "action "+found.Name, map[string][]string{}
	if found.Query || found.Async {
		roots[QueryRoot] = []string{found.Name}
	}
	if !found.Query {
		roots[MutationRoot] = []string{found.Name}
	}
	if found.Async {
		roots[SubscriptionRoot] = []string{found.Name}
	}
	err := a.names.claimRoots(owner, roots)
	if err == nil && found.Async {
		if err = a.names.claimTypes(owner, []string{found.Name}); err != nil {
			a.names.releaseRoots(owner, roots)
		}
	}
	return err
}

func (a *actionResolver) arguments(found *Action) {
	seen := map[string]bool{}
	for i, doc := range a.doc.Definition.Arguments {
		at := fmt.Sprintf(".definition.arguments[%d]", i)
		if !usableName(doc.Name) {
			a.wrong(at+".name", "the argument name %q is not a valid GraphQL name", doc.Name)
		} else if seen[doc.Name] {
			a.wrong(at+".name", "the argument %q is defined twice", doc.Name)
		}
		seen[doc.Name] = true
		ref, err := ParseTypeRef(doc.Type)
		if err != nil {
			a.wrong(at+".type", "the type of the argument %q: %s", doc.Name, err)
			continue
		}
		switch t, ok := a.reference(ref.Base()); {
		case !ok:
			a.wrong(at+".type", "the type %q of the argument %q is not defined in custom types", ref.Base(), doc.Name)
		case t.Kind == Object:
			a.wrong(at+".type", "the argument %q has the object type %q, which is for outputs", doc.Name, t.Name)
		}
		found.Arguments = append(found.Arguments, Field{Name: doc.Name, Description: doc.Description, Type: ref})
	}
}

func (a *actionResolver) output(found *Action) {
	const at = ".definition.output_type"
	ref, err := ParseTypeRef(a.doc.Definition.OutputType)
	if err != nil {
		a.wrong(at, "the output type: %s", err)
		return
	}
	found.Output = ref
	switch t, ok := a.reference(ref.Base()); {
	case !ok:
		a.wrong(at, "the output type %q is not defined in custom types", ref.Base())
	case t.Kind == Input:
		a.wrong(at, "the output type %q is an input object type, which is for arguments", t.Name)
	}
}
