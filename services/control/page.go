package control

import (
	"encoding/base64"
	"strconv"
	"strings"

	"tenantry/tenants/store"
)

// PageInput holds the parameters of every list.
type PageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Items at most."`
	Cursor string `query:"cursor" maxLength:"2048" doc:"The next_cursor of the part before."`
}

func (p PageInput) page() store.Page { return store.Page{Limit: p.Limit, Cursor: p.Cursor} }

// page is the answer of every list.
type page[T any] struct {
	Body pageBody[T]
}

type pageBody[T any] struct {
	Items      []T     `json:"items" nullable:"false"`
	NextCursor *string `json:"next_cursor" doc:"Where the next part begins; null at the end."`
}

// pageOf shows each item of a part.
func pageOf[S, T any](items []S, next string, show func(S) T) *page[T] {
	out := &page[T]{Body: pageBody[T]{Items: make([]T, 0, len(items))}}
	for _, item := range items {
		out.Body.Items = append(out.Body.Items, show(item))
	}
	if next != "" {
		out.Body.NextCursor = &next
	}
	return out
}

// cut takes a page of a list in memory, which is ordered by key.
func cut[T any](items []T, p PageInput, key func(T) string) ([]T, string, error) {
	if p.Cursor != "" {
		after, err := base64.RawURLEncoding.DecodeString(p.Cursor)
		if err != nil {
			return nil, "", store.ErrBadCursor
		}
		begin := 0
		for begin < len(items) && key(items[begin]) <= string(after) {
			begin++
		}
		items = items[begin:]
	}
	limit := p.Limit
	if limit <= 0 {
		limit = 50
	}
	if len(items) <= limit {
		return items, "", nil
	}
	return items[:limit], base64.RawURLEncoding.EncodeToString([]byte(key(items[limit-1]))), nil
}

func itoa(n int) string { return strconv.Itoa(n) }

func cloned(text string) string { return strings.Clone(text) }

// tag is the ETag of a version.
func tag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

func parseTag(text string) (int64, bool) {
	text = strings.TrimPrefix(strings.TrimSpace(text), "W/")
	if len(text) > 2 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	version, err := strconv.ParseInt(text, 10, 64)
	return version, err == nil && version > 0
}

// TenantPath is the parameter of paths that begin with a tenant. Who owns what a
// path names was settled by the guard. huma finds parameters only in embedded
// types that are exported; so are those below and elsewhere.
type TenantPath struct {
	Tenant string `path:"tenant" minLength:"2" maxLength:"39" pattern:"^[a-z0-9-]+$" doc:"Slug or id of the tenant."`
}

// ProjectPath is the parameter of paths that begin with a project.
type ProjectPath struct {
	Project string `path:"project" minLength:"2" maxLength:"39" pattern:"^[a-z0-9-]+$" doc:"Slug or id of the project."`
}

// Precondition is the parameter of changes that may insist on a version.
type Precondition struct {
	IfMatch string `header:"If-Match" maxLength:"64" doc:"The ETag that the change was made on; 412 when it is no longer current."`
}

// Forced is the parameter of changes that may break operations of the allow-list.
type Forced struct {
	Force bool `query:"force" doc:"Make the change although operations of the allow-list break."`
}

// empty is an input without parameters, or an answer without a body.
type empty struct{}
