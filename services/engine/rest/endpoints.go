package rest

import (
	"fmt"
	"slices"
	"strings"

	"tenantry/api/errcode"
	"tenantry/services/engine/operation"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// Endpoint is one saved operation with the path that it answers.
type Endpoint struct {
	Name string
	// Query is the text of the operation.
	Query string

	methods  []string
	comment  string
	template template
	declared operation.Declared
}

// Endpoints are those of one revision of a project. Immutable.
type Endpoints struct {
	list []*Endpoint
	// byLength finds endpoints by the number of segments.
	byLength map[int][]*Endpoint
}

// All are the endpoints, in the order of the metadata. Read only.
func (s *Endpoints) All() []*Endpoint { return s.list }

// Methods that an endpoint may have.
var Methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}

// New reads the endpoints of a document. What can't be served becomes an
// inconsistency; templates that overlap are reported too.
func New(doc *metadata.Document) (*Endpoints, []model.Inconsistency) {
	out := &Endpoints{byLength: map[int][]*Endpoint{}}
	var refused []model.Inconsistency
	queries := queriesOf(doc)
	for i, e := range doc.RESTEndpoints {
		made, err := newEndpoint(e, queries)
		if err != nil {
			refused = append(refused, model.Inconsistency{
				Type: "rest_endpoint", Name: "rest_endpoint " + e.Name, Definition: definition(e), Reason: err.Error(),
				Pointer: fmt.Sprintf("$.rest_endpoints[%d]", i),
			})
			continue
		}
		out.list = append(out.list, made)
		n := len(made.template.segments)
		out.byLength[n] = append(out.byLength[n], made)
	}
	return out, append(refused, out.ambiguous()...)
}

// definition is an endpoint as the dialect shows it.
func definition(e metadata.RESTEndpoint) map[string]any {
	out := map[string]any{"name": e.Name, "url": e.URL, "methods": e.Methods, "definition": e.Definition, "comment": nil}
	if e.Comment != "" {
		out["comment"] = e.Comment
	}
	return out
}

type queryKey struct{ collection, name string }

func queriesOf(doc *metadata.Document) map[queryKey]string {
	out := map[queryKey]string{}
	for _, c := range doc.QueryCollections {
		for _, q := range c.Definition.Queries {
			out[queryKey{c.Name, q.Name}] = q.Query
		}
	}
	return out
}

func newEndpoint(e metadata.RESTEndpoint, queries map[queryKey]string) (*Endpoint, error) {
	t, err := parseTemplate(e.URL)
	if err != nil {
		return nil, err
	}
	for _, m := range e.Methods {
		if !slices.Contains(Methods, m) {
			return nil, inconsistent(e, "the method %q is none of %s", m, strings.Join(Methods, ", "))
		}
	}
	if len(e.Methods) == 0 {
		return nil, inconsistent(e, "there is no method")
	}
	at := e.Definition.Query
	query, ok := queries[queryKey{at.Collection, at.Query}]
	if !ok {
		return nil, inconsistent(e, "query with name %s does not exist in collection %s", at.Query, at.Collection)
	}
	declared, err := operation.Declare(query)
	if err != nil {
		return nil, inconsistent(e, "query with name %s: %s", at.Query, err.Error())
	}
	if declared.Type == "subscription" {
		return nil, inconsistent(e, "query with name %s is a subscription", at.Query)
	}
	return &Endpoint{Name: e.Name, Query: query, methods: e.Methods, comment: e.Comment, template: t, declared: declared}, nil
}

func inconsistent(e metadata.RESTEndpoint, format string, args ...any) error {
	return fmt.Errorf("Inconsistent object: in endpoint %s: %s", e.Name, fmt.Sprintf(format, args...))
}

// ambiguous reports groups of endpoints that some request would match at once.
func (s *Endpoints) ambiguous() []model.Inconsistency {
	var out []model.Inconsistency
	grouped := map[*Endpoint]bool{}
	for _, first := range s.list {
		if grouped[first] {
			continue
		}
		group := []*Endpoint{first}
		grouped[first] = true
		for i := 0; i < len(group); i++ {
			for _, other := range s.byLength[len(first.template.segments)] {
				if !grouped[other] && group[i].conflicts(other) {
					grouped[other] = true
					group = append(group, other)
				}
			}
		}
		if len(group) > 1 {
			out = append(out, ambiguity(group))
		}
	}
	return out
}

func (e *Endpoint) conflicts(other *Endpoint) bool {
	return e.template.overlaps(other.template) &&
		slices.ContainsFunc(e.methods, func(m string) bool { return slices.Contains(other.methods, m) })
}

const ambiguousPrefix = "Ambiguous URL paths: "

// Ambiguous reports whether an inconsistency is about endpoints that some
// request would match at once: it is no single endpoint's.
func Ambiguous(i model.Inconsistency) bool {
	return i.Type == "rest_endpoint" && strings.HasPrefix(i.Reason, ambiguousPrefix)
}

func ambiguity(group []*Endpoint) model.Inconsistency {
	slices.SortFunc(group, func(a, b *Endpoint) int { return strings.Compare(a.template.text, b.template.text) })
	var paths []string
	var conflicts []map[string]any
	for _, e := range group {
		paths = append(paths, e.template.text)
		conflicts = append(conflicts, map[string]any{
			"name": e.Name, "url": e.template.text, "methods": e.methods, "comment": nil, "definition": map[string]any{"query": e.Query},
		})
	}
	return model.Inconsistency{
		Type: "rest_endpoint", Name: "rest_endpoint " + strings.Join(paths, ", "), Definition: conflicts,
		Reason: ambiguousPrefix + strings.Join(slices.Compact(paths), ", "), Pointer: "$.rest_endpoints",
	}
}

// Match finds the endpoint of a request; path is what follows /api/rest/, its
// segments decoded. values are the texts of the path's variables. Errors are
// not-found, or method-not-allowed with the methods that there are.
func (s *Endpoints) Match(method string, path []string) (e *Endpoint, values map[string]string, err error) {
	var allowed []string
	for _, candidate := range s.byLength[len(path)] {
		bound, ok := candidate.template.match(path)
		if !ok {
			continue
		}
		if !slices.Contains(candidate.methods, method) {
			allowed = append(allowed, candidate.methods...)
			continue
		}
		// Of several, which were reported as ambiguous, that with fewer variables.
		if e == nil || len(bound) < len(values) {
			e, values = candidate, bound
		}
	}
	switch {
	case e != nil:
		return e, values, nil
	case len(allowed) == 0:
		return nil, nil, errcode.New(errcode.NotFound, "Endpoint not found").At("$")
	}
	slices.Sort(allowed)
	return nil, nil, errcode.New(errcode.MethodNotAllowed, "Allowed methods: %s", strings.Join(slices.Compact(allowed), ", ")).At("$")
}
