package metadata

import (
	"slices"

	"tenantry/api/errcode"
)

func (d *Document) collection(name string) (*QueryCollection, error) {
	for i := range d.QueryCollections {
		if d.QueryCollections[i].Name == name {
			return &d.QueryCollections[i], nil
		}
	}
	return nil, fail(errcode.NotExists, "query collection with name %q does not exist", name)
}

// CreateQueryCollection adds a collection of operations.
func CreateQueryCollection(doc *Document, args QueryCollection) (*Document, error) {
	if err := notEmpty(args.Name, "name"); err != nil {
		return nil, err
	}
	if err := problemsOf(func(c *decoder) { c.queries(args.Definition.Queries, "$.definition.queries") }); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		if _, err := d.collection(args.Name); err == nil {
			return fail(errcode.AlreadyExists, "query collection with name %q already exists", args.Name)
		}
		d.QueryCollections = append(d.QueryCollections, args)
		return nil
	})
}

// DropQueryCollectionArgs are the arguments of DropQueryCollection.
type DropQueryCollectionArgs struct {
	Collection string `json:"collection"`
	Cascade    bool   `json:"cascade,omitempty"`
}

// DropQueryCollection removes a collection. One that the allow-list has can't be
// dropped, or leaves it if args say cascade.
func DropQueryCollection(doc *Document, args DropQueryCollectionArgs) (*Document, error) {
	return edit(doc, func(d *Document) error {
		if _, err := d.collection(args.Collection); err != nil {
			return err
		}
		listed := func(a AllowlistEntry) bool { return a.Collection == args.Collection }
		if slices.ContainsFunc(d.Allowlist, listed) && !args.Cascade {
			return fail(errcode.DependencyError, "query collection with name %q is present in the allowlist; "+
				"cannot proceed to drop. please remove the collection from the allowlist and retry", args.Collection)
		}
		d.Allowlist = slices.DeleteFunc(d.Allowlist, listed)
		d.QueryCollections = slices.DeleteFunc(d.QueryCollections, func(c QueryCollection) bool { return c.Name == args.Collection })
		return nil
	})
}

// CollectionQueryArgs are the arguments of AddQueryToCollection and, without the
// query, of DropQueryFromCollection.
type CollectionQueryArgs struct {
	Collection string `json:"collection_name"`
	Name       string `json:"query_name"`
	Query      string `json:"query,omitempty"`
}

// AddQueryToCollection adds an operation.
func AddQueryToCollection(doc *Document, args CollectionQueryArgs) (*Document, error) {
	if err := notEmpty(args.Name, "query_name"); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		c, err := d.collection(args.Collection)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(c.Definition.Queries, func(q NamedQuery) bool { return q.Name == args.Name }) {
			return fail(errcode.AlreadyExists, "query with name %q already exists in collection %q", args.Name, args.Collection)
		}
		c.Definition.Queries = append(c.Definition.Queries, NamedQuery{Name: args.Name, Query: args.Query})
		return nil
	})
}

// DropQueryFromCollection removes an operation.
func DropQueryFromCollection(doc *Document, args CollectionQueryArgs) (*Document, error) {
	return edit(doc, func(d *Document) error {
		c, err := d.collection(args.Collection)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(c.Definition.Queries, func(q NamedQuery) bool { return q.Name == args.Name })
		if at < 0 {
			return fail(errcode.NotExists, "query with name %q not found in collection %q", args.Name, args.Collection)
		}
		c.Definition.Queries = slices.Delete(c.Definition.Queries, at, at+1)
		return nil
	})
}

// AddCollectionToAllowlist allows a collection's operations. One that is allowed
// already keeps its scope.
func AddCollectionToAllowlist(doc *Document, args AllowlistEntry) (*Document, error) {
	if err := problemsOf(func(c *decoder) { c.scope(args.Scope, "$.scope") }); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		if _, err := d.collection(args.Collection); err != nil {
			return err
		}
		if slices.ContainsFunc(d.Allowlist, func(a AllowlistEntry) bool { return a.Collection == args.Collection }) {
			return nil
		}
		d.Allowlist = append(d.Allowlist, args)
		return nil
	})
}

// DropCollectionFromAllowlist takes a collection from the allow-list.
func DropCollectionFromAllowlist(doc *Document, collection string) (*Document, error) {
	return edit(doc, func(d *Document) error {
		at := slices.IndexFunc(d.Allowlist, func(a AllowlistEntry) bool { return a.Collection == collection })
		if at < 0 {
			return fail(errcode.NotExists, "collection %q doesn't exist in the allowlist", collection)
		}
		d.Allowlist = slices.Delete(d.Allowlist, at, at+1)
		return nil
	})
}
