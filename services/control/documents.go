package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"tenantry/api/errcode"
	"tenantry/policy/allowlist"
	"tenantry/policy/authz"
	"tenantry/services/engine/operation"
	"tenantry/services/revision"
	"tenantry/tenants/metadata"
)

// maxDocuments bounds the persisted documents of a project.
const maxDocuments = 10_000

func (s *service) registerDocuments() {
	register(s, endpoint{id: "importDocuments", method: http.MethodPost, path: "/projects/{project}/allowlist:import", class: authz.ClassWrite, tag: "Limits",
		maxBody: 16 << 20, summary: "Add persisted documents: a manifest of Apollo's or Relay's clients"}, s.importDocuments)
	register(s, endpoint{id: "suggestAllowlist", method: http.MethodPost, path: "/projects/{project}/allowlist:suggest", class: authz.ClassRead, tag: "Limits",
		summary: "A collection of the operations that clients sent to this node and that are not listed; without values"}, s.suggestAllowlist)
}

type importDocumentsInput struct {
	ProjectPath
	Roles   []string   `query:"roles" doc:"Roles that may use them; every role when absent."`
	Replace bool       `query:"replace" doc:"Remove the documents that the manifest does not have (of these roles)."`
	Body    jsonObject `doc:"{format: apollo-persisted-query-manifest, version: 1, operations: [{id, body, …}]}, or Relay's {id: text}."`
}

type importDocumentsOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		Added     int `json:"added"`
		Unchanged int `json:"unchanged"`
		Removed   int `json:"removed"`
		Total     int `json:"total" doc:"Persisted documents of the project."`
	}
}

// importDocuments keeps what older clients need unless it is told to replace: a
// client that was built before goes on sending its ids.
func (s *service) importDocuments(ctx context.Context, c *call, in *importDocumentsInput) (*importDocumentsOutput, error) {
	documents, mistakes := readManifest(in.Body)
	for i, role := range in.Roles {
		if role == "" || strings.ContainsAny(role, ",:") {
			mistakes = append(mistakes, wrong(fmt.Sprintf("?roles/%d", i), "expected a role"))
		}
	}
	if mistakes != nil {
		return nil, invalid(mistakes...)
	}
	out := &importDocumentsOutput{}
	o, err := s.Revisions.Apply(ctx, c.project.ID, revision.Change{
		Author: c.author(), Action: "allowlist.import", Target: c.in("allowlist"), Detail: map[string]any{"documents": len(documents)},
		Metadata: func(doc *metadata.Document) (*metadata.Document, error) {
			doc = doc.Clone()
			out.Body.Added, out.Body.Unchanged, out.Body.Removed = 0, 0, 0
			var mistakes []Mistake
			mistakes, out.Body.Added, out.Body.Unchanged, out.Body.Removed = addDocuments(doc, in.Roles, documents, in.Replace)
			out.Body.Total = countDocuments(doc)
			if out.Body.Total > maxDocuments {
				mistakes = append(mistakes, wrong("", "the project would have %d documents, at most %d are kept; remove old ones with replace", out.Body.Total, maxDocuments))
			}
			if mistakes != nil {
				return nil, invalid(mistakes...)
			}
			return doc, nil
		},
	})
	if err != nil {
		return nil, err
	}
	out.ETag = showAllowlist(o).ETag
	return out, nil
}

// readManifest reads either form, with all mistakes.
func readManifest(text []byte) (documents []metadata.NamedQuery, mistakes []Mistake) {
	var apollo struct {
		Format     string `json:"format"`
		Version    int    `json:"version"`
		Operations []struct {
			ID   string `json:"id"`
			Body string `json:"body"`
		} `json:"operations"`
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, []Mistake{wrong("", "expected one JSON object")}
	}
	at := map[string]string{}
	add := func(id, query, place string) {
		if id == "" || len(id) > 256 {
			mistakes = append(mistakes, wrong(place, "expected an id of 1 to 256 bytes"))
			return
		}
		if other, twice := at[id]; twice {
			mistakes = append(mistakes, wrong(place, "the same id as %s", other))
			return
		}
		at[id] = place
		if _, err := operation.HashText(query); err != nil {
			mistakes = append(mistakes, wrong(place, "expected one GraphQL operation: %s", errcode.From(err).Message))
		}
		documents = append(documents, metadata.NamedQuery{Name: id, Query: query})
	}
	if _, ok := members["format"]; ok {
		d := json.NewDecoder(bytes.NewReader(text))
		if err := d.Decode(&apollo); err != nil || apollo.Format != "apollo-persisted-query-manifest" || apollo.Version != 1 {
			return nil, []Mistake{wrong("/format", "expected apollo-persisted-query-manifest of version 1, or an object of ids and texts")}
		}
		for i, op := range apollo.Operations {
			add(op.ID, op.Body, fmt.Sprintf("/operations/%d", i))
		}
		return documents, mistakes
	}
	for _, id := range slices.Sorted(maps.Keys(members)) {
		var query string
		place := "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(id)
		if err := json.Unmarshal(members[id], &query); err != nil {
			mistakes = append(mistakes, wrong(place, "expected the text of an operation"))
			continue
		}
		add(id, query, place)
	}
	return documents, mistakes
}

// addDocuments puts documents into the collection of their roles.
func addDocuments(doc *metadata.Document, roles []string, documents []metadata.NamedQuery, replace bool) (mistakes []Mistake, added, unchanged, removed int) {
	name := allowlist.DocumentCollection
	var scope *metadata.AllowlistScope
	if len(roles) > 0 {
		roles = slices.Compact(slices.Sorted(slices.Values(roles)))
		name += ":" + strings.Join(roles, ",")
		scope = &metadata.AllowlistScope{Roles: roles}
	}
	at := slices.IndexFunc(doc.QueryCollections, func(q metadata.QueryCollection) bool { return q.Name == name })
	if at < 0 {
		at = len(doc.QueryCollections)
		doc.QueryCollections = append(doc.QueryCollections, metadata.QueryCollection{Name: name, Comment: "Persisted documents: each is named by its id."})
	}
	if !slices.ContainsFunc(doc.Allowlist, func(e metadata.AllowlistEntry) bool { return e.Collection == name }) {
		doc.Allowlist = append(doc.Allowlist, metadata.AllowlistEntry{Collection: name, Scope: scope})
	}
	queries := &doc.QueryCollections[at].Definition.Queries
	present := map[string]string{}
	for _, q := range *queries {
		present[q.Name] = q.Query
	}
	given := map[string]bool{}
	for _, d := range documents {
		given[d.Name] = true
		switch text, ok := present[d.Name]; {
		case !ok:
			added++
			*queries = append(*queries, d)
		case text == d.Query:
			unchanged++
		default:
			mistakes = append(mistakes, wrong("", "the id %q stands for another text already: an id never changes its meaning", d.Name))
		}
	}
	if replace {
		before := len(*queries)
		*queries = slices.DeleteFunc(*queries, func(q metadata.NamedQuery) bool { return !given[q.Name] })
		removed = before - len(*queries)
	}
	return mistakes, added, unchanged, removed
}

func countDocuments(doc *metadata.Document) (n int) {
	for _, q := range doc.QueryCollections {
		if name, _, _ := strings.Cut(q.Name, ":"); name == allowlist.DocumentCollection {
			n += len(q.Definition.Queries)
		}
	}
	return n
}

type suggestAllowlistInput struct {
	ProjectPath
	Body *struct {
		Since time.Time `json:"since,omitempty" doc:"Operations that were seen since; all that are remembered when absent."`
	} `required:"false"`
}

type suggestedOperation struct {
	Name      string    `json:"name" doc:"Of the operation, or made of its hash."`
	Query     string    `json:"query"`
	Type      string    `json:"type" enum:"query,mutation,subscription"`
	Roles     []string  `json:"roles" nullable:"false" doc:"That sent it, at most 20."`
	Count     int64     `json:"count"`
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	Values    bool      `json:"values" doc:"The text had values, which are not kept: others stand in their place, and the operation matches only with match normalized or subset."`
}

type suggestAllowlistOutput struct {
	Body struct {
		Operations []suggestedOperation `json:"operations" nullable:"false" doc:"The most frequent first."`
		Collection jsonObject           `json:"collection" doc:"The same as a query collection of the metadata."`
	}
}

func (s *service) suggestAllowlist(ctx context.Context, c *call, in *suggestAllowlistInput) (*suggestAllowlistOutput, error) {
	current, err := s.Revisions.Current(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	since := time.Time{}
	if in.Body != nil {
		since = in.Body.Since
	}
	listed := listedHashes(current.Document)
	names := map[string]bool{}
	collection := metadata.QueryCollection{Name: "suggested", Definition: metadata.QueryCollectionDefinition{Queries: []metadata.NamedQuery{}}}
	out := &suggestAllowlistOutput{}
	out.Body.Operations = []suggestedOperation{}
	for _, op := range s.Traffic(c.project.ID, since) {
		if _, err := operation.HashText(op.Text); err != nil || listed[op.Hash] {
			continue
		}
		name := op.Name
		if name == "" || names[name] {
			name = strings.TrimPrefix(name+"_", "_") + op.Hash[:12]
		}
		names[name] = true
		out.Body.Operations = append(out.Body.Operations, suggestedOperation{
			Name: name, Query: op.Text, Type: op.Type, Roles: op.Roles, Count: op.Count, FirstSeen: op.First, LastSeen: op.Last, Values: op.Values,
		})
		collection.Definition.Queries = append(collection.Definition.Queries, metadata.NamedQuery{Name: name, Query: op.Text})
	}
	out.Body.Collection, err = asObject(collection)
	return out, err
}

// listedHashes are the operations of the allow-list.
func listedHashes(doc *metadata.Document) map[string]bool {
	allowed, hashes := map[string]bool{}, map[string]bool{}
	for _, entry := range doc.Allowlist {
		allowed[entry.Collection] = true
	}
	for _, collection := range doc.QueryCollections {
		if !allowed[collection.Name] {
			continue
		}
		for _, q := range collection.Definition.Queries {
			if hash, err := operation.HashText(q.Query); err == nil {
				hashes[hash] = true
			}
		}
	}
	return hashes
}
