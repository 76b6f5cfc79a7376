package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"tenantry/api/errcode"
	"tenantry/policy/authz"
	"tenantry/services/revision"
	"tenantry/tenants/metadata"
)

// Problem is the body of every refusal: RFC 9457 with a stable code.
type Problem struct {
	Title  string    `json:"title" doc:"The status in words."`
	Status int       `json:"status" doc:"The HTTP status."`
	Code   string    `json:"code" doc:"A stable code; programs may branch on it."`
	Detail string    `json:"detail" doc:"One sentence for people."`
	Errors []Mistake `json:"errors,omitempty" doc:"All mistakes of the request with their places."`

	retryAfter int // seconds
}

// Mistake is one thing that is wrong with a request.
type Mistake struct {
	Pointer   string `json:"pointer,omitempty" doc:"JSON pointer into the body; absent means the body as a whole."`
	Parameter string `json:"parameter,omitempty" doc:"Name of a path, query or header parameter."`
	Message   string `json:"message" doc:"What was expected."`
	Line      int    `json:"line,omitempty" doc:"Line in a text, such as a Rego module, from 1."`
	Column    int    `json:"column,omitempty" doc:"Column in the line, from 1."`
}

// Error is the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType of a problem.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func problem(status int, code errcode.Code, detail string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Code: string(code), Detail: detail}
}

// invalid is a 422 with its mistakes.
func invalid(mistakes ...Mistake) *Problem {
	p := problem(http.StatusUnprocessableEntity, errcode.ValidationFailed, "the request has mistakes")
	p.Errors = mistakes
	return p
}

// wrong is the mistake at a place of the body.
func wrong(pointer, message string, args ...any) Mistake {
	return Mistake{Pointer: pointer, Message: fmt.Sprintf(message, args...)}
}

// write sends a problem on a connection of fiber's.
func write(c *fiber.Ctx, p *Problem) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if p.Status == http.StatusUnauthorized {
		c.Set("WWW-Authenticate", `Bearer realm="tenantry"`)
	}
	if p.retryAfter > 0 {
		c.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	c.Status(p.Status).Set("Content-Type", p.ContentType(""))
	return c.Send(body)
}

func asError[T error](err error, target *T) bool { return errors.As(err, target) }

// problemOf presents an error of a handler. What is not meant for clients
// becomes "internal error".
func problemOf(err error) *Problem {
	var p *Problem
	var compile *authz.CompileError
	var decode *metadata.DecodeError
	var inconsistent *revision.Inconsistent
	var tests *revision.FailedTests
	var broken *revision.BrokenOperations
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &compile):
		return compileProblem(compile, "/text")
	case errors.As(err, &decode):
		return decodeProblem(decode)
	case errors.As(err, &tests):
		return testsProblem(tests)
	case errors.As(err, &broken):
		p := invalid()
		p.Code, p.Detail = string(errcode.DependencyError), broken.Error()
		for _, o := range broken.Operations {
			p.Errors = append(p.Errors, wrong("/allowlist/"+escapePointer(o.Collection)+"/"+escapePointer(o.Query), "role %s: %s", o.Role, o.Reason))
		}
		return p
	case errors.As(err, &inconsistent):
		p := invalid()
		p.Code, p.Detail = string(errcode.InvalidConfiguration), "objects would not resolve"
		for _, o := range inconsistent.Objects {
			p.Errors = append(p.Errors, wrong(pointerOf(o.Pointer), "%s: %s", o.Name, o.Reason))
		}
		return p
	}
	public := errcode.From(err)
	if public.Code == errcode.Unexpected && errors.Is(err, context.DeadlineExceeded) {
		return problem(http.StatusServiceUnavailable, errcode.Timeout, "the request took too long")
	}
	if place := public.Path; strings.HasPrefix(place, "/") || strings.HasPrefix(place, "$.") {
		if strings.HasPrefix(place, "$") {
			place = pointerOf(place)
		}
		p := invalid(wrong(place, "%s", public.Message))
		p.Code, p.Detail = string(public.Code), public.Message
		return p
	}
	return problem(statusOf(public.Code), public.Code, public.Message)
}

// statusOf is the status of a code in this API, which tells bad content (422)
// from a bad request (400).
func statusOf(code errcode.Code) int {
	switch code {
	case errcode.NotExists:
		return http.StatusNotFound
	case errcode.AlreadyExists, errcode.IdempotencyInProgress:
		return http.StatusConflict
	case errcode.ValidationFailed, errcode.ParseFailed, errcode.InvalidParams, errcode.InvalidConfiguration, errcode.BlockedEgress,
		errcode.ConstraintError, errcode.DependencyError, errcode.NotSupported, errcode.AlreadyTracked, errcode.PermissionError:
		return http.StatusUnprocessableEntity
	}
	return code.Status()
}

func compileProblem(e *authz.CompileError, pointer string) *Problem {
	p := invalid()
	p.Detail = "the policy does not compile"
	for _, m := range e.Errors {
		message := m.Message
		if m.Module != "" {
			message = m.Module + ": " + message
		}
		p.Errors = append(p.Errors, Mistake{Pointer: pointer, Message: message, Line: m.Row, Column: m.Col})
	}
	return p
}

func decodeProblem(e *metadata.DecodeError) *Problem {
	p := invalid()
	p.Code = string(errcode.ParseFailed)
	for _, m := range e.Problems {
		p.Errors = append(p.Errors, wrong(pointerOf(m.Path), "%s", m.Message))
	}
	return p
}

// pointerOf turns a path such as $.a[0]['x y'].b into a JSON pointer.
func pointerOf(path string) string {
	var b strings.Builder
	rest := strings.TrimPrefix(path, "$")
	for rest != "" {
		var part string
		switch {
		case strings.HasPrefix(rest, "['"):
			end := strings.Index(rest, "']")
			if end < 0 {
				end = len(rest)
			}
			part = strings.NewReplacer(`\'`, `'`, `\\`, `\`).Replace(rest[2:end])
			rest = rest[min(end+2, len(rest)):]
		case rest[0] == '[':
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				end = len(rest) - 1
			}
			part, rest = rest[1:end], rest[end+1:]
		default:
			rest = strings.TrimPrefix(rest, ".")
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			part, rest = rest[:end], rest[end:]
		}
		b.WriteString("/" + escapePointer(part))
	}
	return b.String()
}

func escapePointer(part string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(part)
}

// huma's one hook for its errors is global. Its own form repeats the values
// that were sent, secrets among them.
func init() {
	huma.NewError = func(status int, message string, details ...error) huma.StatusError {
		p := problem(status, codeFor(status), message)
		if status >= http.StatusInternalServerError {
			p.Detail = "internal error"
			return p
		}
		for _, d := range details {
			if d != nil {
				p.Errors = append(p.Errors, mistakeOf(d))
			}
		}
		return p
	}
	huma.ValidateStrictCasing = true
}

func codeFor(status int) errcode.Code {
	switch status {
	case http.StatusUnprocessableEntity:
		return errcode.ValidationFailed
	case http.StatusNotFound:
		return errcode.NotFound
	case http.StatusInternalServerError:
		return errcode.Unexpected
	}
	return errcode.BadRequest
}

// missingProperty recognises huma's words for one.
var missingProperty = regexp.MustCompile(`^expected required property (.+) to be present$`)

// mistakeOf keeps the place and the rule of an error of huma's, never the value.
func mistakeOf(err error) Mistake {
	detailed, ok := err.(huma.ErrorDetailer)
	if !ok {
		return Mistake{Message: "the request can't be read"}
	}
	d := detailed.ErrorDetail()
	where, name, _ := strings.Cut(d.Location, ".")
	switch {
	case d.Location == "body" && d.Value != nil && !strings.HasPrefix(d.Message, "expected") && d.Message != "unexpected property":
		// A decoder's error, which may repeat what it read.
		return Mistake{Message: "expected a body of valid JSON (Content-Type: application/json) with values of the documented types"}
	case where == "path" || where == "query" || where == "header":
		return Mistake{Parameter: name, Message: d.Message}
	}
	pointer := pointerOf(strings.TrimPrefix(d.Location, "body"))
	if m := missingProperty.FindStringSubmatch(d.Message); m != nil {
		return Mistake{Pointer: pointer + "/" + escapePointer(m[1]), Message: "required, but missing"}
	}
	return Mistake{Pointer: pointer, Message: d.Message}
}
