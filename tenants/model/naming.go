package model

import (
	"fmt"
	"slices"
	"strings"

	"tenantry/tenants/metadata"
)

// Naming says how the names of a source's types and fields are made: as the
// database has them, or in camel case (the convention graphql-default), with
// what the source's customization puts around them.
type Naming struct {
	// Camel is true for the convention graphql-default.
	Camel bool
	// Around the names of root fields and types.
	RootPrefix, RootSuffix, TypePrefix, TypeSuffix string
	// Namespace is the field that holds all root fields of the source; often none.
	Namespace string
}

// GraphQLDefault is the name of the convention with camel case.
const GraphQLDefault = "graphql-default"

func namingOf(c *metadata.SourceCustomization) *Naming {
	n := &Naming{}
	if c == nil {
		return n
	}
	n.Camel = c.NamingConvention == GraphQLDefault
	if f := c.RootFields; f != nil {
		n.RootPrefix, n.RootSuffix, n.Namespace = f.Prefix, f.Suffix, f.Namespace
	}
	if t := c.TypeNames; t != nil {
		n.TypePrefix, n.TypeSuffix = t.Prefix, t.Suffix
	}
	return n
}

// Field is a keyword of the dialect (order_by, affected_rows) as this source
// writes it.
func (n *Naming) Field(keyword string) string {
	if !n.Camel {
		return keyword
	}
	return camel(keyword)
}

// TypePart is the part of a type's name, such as _bool_exp, as this source
// writes it.
func (n *Naming) TypePart(suffix string) string {
	if !n.Camel {
		return suffix
	}
	return pascal(suffix)
}

// Shared is the name of a type that no table owns, such as order_by or
// Int_comparison_exp.
func (n *Naming) Shared(name string) string {
	if !n.Camel {
		return name
	}
	return pascal(name)
}

// EnumValue is a value of an enum of the dialect, such as asc.
func (n *Naming) EnumValue(value string) string {
	if !n.Camel {
		return value
	}
	return strings.ToUpper(value)
}

// typeName puts the source's prefix and suffix around a type's name.
func (n *Naming) typeName(inner string) string {
	if !n.Camel {
		return n.TypePrefix + inner + n.TypeSuffix
	}
	if n.TypePrefix != "" {
		inner = n.TypePrefix + upperFirst(inner)
	}
	return inner + upperFirst(n.TypeSuffix)
}

// root puts the source's prefix and suffix around a root field's name.
func (n *Naming) root(inner string) string {
	if !n.Camel {
		return n.RootPrefix + inner + n.RootSuffix
	}
	if n.RootPrefix != "" {
		inner = n.RootPrefix + upperFirst(inner)
	}
	return inner + upperFirst(n.RootSuffix)
}

// Inner is a type's name without what the source puts around it.
func (n *Naming) Inner(typeName string) (string, bool) {
	inner, ok := strings.CutPrefix(typeName, n.TypePrefix)
	if !ok {
		return "", false
	}
	if n.Camel {
		return strings.CutSuffix(inner, upperFirst(n.TypeSuffix))
	}
	return strings.CutSuffix(inner, n.TypeSuffix)
}

// TypeOf is the name of a table's object type whose bare name is base.
func (n *Naming) TypeOf(base string) string { return n.typeName(base) }

// TypeName is the name of one of the table's types: suffix as _bool_exp, or
// nothing for the object type.
func (t *Table) TypeName(suffix string) string {
	if t.Naming == nil {
		return t.Base + suffix
	}
	return t.Naming.typeName(t.Base + t.Naming.TypePart(suffix))
}

// rootField is the name of a root field by its pattern, as insert_%s_one.
func (n *Naming) rootField(pattern, base string) string {
	if !n.Camel {
		return strings.Replace(pattern, "%s", base, 1)
	}
	before, after, _ := strings.Cut(pattern, "%s")
	if before != "" {
		base = camel(strings.TrimSuffix(before, "_")) + upperFirst(base)
	}
	return base + pascal(after)
}

// The root types.
const (
	QueryRoot        = "query_root"
	MutationRoot     = "mutation_root"
	SubscriptionRoot = "subscription_root"
)

// Root is the type that holds the source's root fields: root itself, or with a
// namespace a type of its own.
func (n *Naming) Root(root string) string {
	if n.Namespace == "" {
		return root
	}
	suffix := map[string]string{QueryRoot: "_query", MutationRoot: "_mutation_frontend", SubscriptionRoot: "_subscription"}[root]
	return n.typeName(n.Shared(n.Namespace + suffix))
}

// claimNamespaces takes the fields and types that hold other sources' fields. A
// source whose namespace is taken is left out.
func (r *resolver) claimNamespaces() {
	for i := range r.model.Metadata.Sources {
		doc := &r.model.Metadata.Sources[i]
		n := r.namings[doc.Name]
		if n == nil || n.Namespace == "" {
			continue
		}
		owner, fields, types := "source "+doc.Name, map[string][]string{}, []string{}
		for _, root := range []string{QueryRoot, MutationRoot, SubscriptionRoot} {
			fields[root] = []string{n.Namespace}
			types = append(types, n.Root(root))
		}
		err := r.names.claimRoots(owner, fields)
		if err == nil {
			err = r.names.claimTypes(owner, types)
		}
		if err == nil {
			continue
		}
		r.report(Inconsistency{Type: "source", Name: doc.Name, Definition: doc.Name,
			Reason: reasonPrefix + err.Error(), Pointer: fmt.Sprintf("$.sources[%d]", i)})
		r.model.Tables = slices.DeleteFunc(r.model.Tables, func(t *Table) bool {
			if t.Source == doc.Name {
				delete(r.model.byName, tableKey{t.Source, t.Name})
			}
			return t.Source == doc.Name
		})
	}
}

// naming is that of a source; sources without customization share one.
func (r *resolver) naming(doc *metadata.Source) *Naming {
	n := namingOf(doc.Customization)
	n.Camel = n.Camel && !r.options.IgnoreNamingConventions
	for _, other := range r.model.Namings {
		if *other == *n {
			n = other
		}
	}
	if !slices.Contains(r.model.Namings, n) {
		r.model.Namings = append(r.model.Namings, n)
	}
	r.namings[doc.Name] = n
	return n
}

// aggregateOf is the field for aggregates of a relationship.
func (n *Naming) aggregateOf(relationship string) string {
	if !n.Camel {
		return relationship + "_aggregate"
	}
	return camel(relationship + "_aggregate")
}

// camel is a name of the database in camel case: order_by becomes orderBy.
// Leading underscores stay.
func camel(name string) string {
	trimmed := strings.TrimLeft(name, "_")
	words := strings.Split(trimmed, "_")
	for i := range words {
		if i > 0 {
			words[i] = upperFirst(words[i])
		}
	}
	words[0] = lowerFirst(words[0])
	return name[:len(name)-len(trimmed)] + strings.Join(words, "")
}

// pascal is a name of the database in Pascal case: order_by becomes OrderBy.
func pascal(name string) string {
	words := strings.Split(name, "_")
	for i := range words {
		words[i] = upperFirst(words[i])
	}
	return strings.Join(words, "")
}

// upperFirst and lowerFirst change an ASCII letter only: GraphQL has no others.
func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
