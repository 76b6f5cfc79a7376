package control

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tenantry/api/errcode"
	"tenantry/policy/authz"
)

// endpoint is one operation of the API. Its id is stable: tests, policies and
// the audit name operations by it.
type endpoint struct {
	id      string
	method  string
	path    string // under prefix
	class   string // authz.Class…: what the caller must be allowed
	tag     string
	summary string
	status  int   // of success; 200 when 0
	maxBody int64 // bytes; 1 MiB when 0
	deleted bool  // the target is one that was deleted
	// answerType is the content type of an answer that is text.
	answerType string
}

// Keys of huma.Operation.Metadata.
const (
	endpointKey = "endpoint"
	tenantKey   = "tenant"
	projectKey  = "project"
)

// defaultBody is the limit of bodies that hold no documents.
const defaultBody = 1 << 20

// register makes an endpoint of a handler. Input and output are huma's: fields
// with path, query and header tags, Body.
func register[I, O any](s *service, e endpoint, handle func(ctx context.Context, c *call, in *I) (*O, error)) {
	if e.status == 0 {
		e.status = http.StatusOK
	}
	if e.maxBody == 0 {
		e.maxBody = defaultBody
	}
	op := huma.Operation{
		OperationID: e.id, Method: e.method, Path: prefix + e.path, Summary: e.summary, Tags: []string{e.tag},
		DefaultStatus: e.status, MaxBodyBytes: e.maxBody,
		// The body was read before the handler; huma's deadline would only stay
		// on the connection and break its next request.
		BodyReadTimeout: -1,
		Metadata: map[string]any{
			endpointKey: &e,
			tenantKey:   strings.Contains(e.path, "{tenant}"),
			projectKey:  strings.Contains(e.path, "{project}"),
		},
		Extensions: map[string]any{"x-tenantry-class": e.class},
	}
	if e.class != authz.ClassPublic {
		op.Security = []map[string][]string{{bearerScheme: {}}}
	}
	if e.method == http.MethodPost {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: idempotencyHeader, In: "header", Description: "The same key with the same request gives the kept answer for a day.",
			Schema: &huma.Schema{Type: huma.TypeString},
		})
	}
	describeText(&op, e)
	s.routes = append(s.routes, route{e.method, op.Path})
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		c := callOf(ctx)
		out, err := handle(ctx, c, in)
		if err == nil {
			return out, nil
		}
		p := problemOf(err)
		s.log(c, err, p)
		if slices.Contains([]int{http.StatusForbidden, http.StatusTooManyRequests}, p.Status) {
			s.denied(c, p)
		}
		if p.retryAfter > 0 {
			return nil, huma.ErrorWithHeaders(p, http.Header{"Retry-After": {itoa(p.retryAfter)}})
		}
		return nil, p
	})
}

// describeText documents bodies that are texts.
func describeText(op *huma.Operation, e endpoint) {
	text := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	if e.answerType != "" {
		op.Responses = map[string]*huma.Response{itoa(e.status): {
			Description: http.StatusText(e.status), Content: map[string]*huma.MediaType{e.answerType: text},
		}}
	}
}

// precondition reads If-Match: 0 when there is none or it is *. A tag that is
// none of ours matches nothing.
func precondition(header string) (int64, error) {
	if header == "" || header == "*" {
		return 0, nil
	}
	version, ok := parseTag(header)
	if !ok {
		return 0, errPrecondition
	}
	return version, nil
}

var errPrecondition = problem(http.StatusPreconditionFailed, errcode.Conflict, "it was changed meanwhile: read it again")

// matched turns a conflict of a request that insisted on a version into the
// failed precondition that it is.
func matched(header string, err error) error {
	if err == nil || header == "" {
		return err
	}
	if public := errcode.From(err); public.Code == errcode.Conflict {
		return errPrecondition
	}
	return err
}
