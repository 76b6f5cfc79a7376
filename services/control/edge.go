package control

import (
	"context"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"tenantry/api/errcode"
)

// prefix of all paths of the control API.
const prefix = "/api/v1"

const (
	requestIDHeader = "x-request-id"
	// requestTimeout bounds one request, the trying of a database included.
	requestTimeout = 60 * time.Second
)

// verbColon finds a colon that begins no parameter: that of a custom verb.
var verbColon = regexp.MustCompile(`([^/]):`)

// escapeVerbs makes fiber take the colon of :suspend as text. Without it fiber
// reads a second parameter, and any verb runs any other's handler.
type escapeVerbs struct{ fiber.Router }

// Add registers a route with its verb's colon escaped.
func (e escapeVerbs) Add(method, path string, handlers ...fiber.Handler) fiber.Router {
	return e.Router.Add(method, verbColon.ReplaceAllString(path, `$1\:`), handlers...)
}

// edge gives every answer its request id and every request a time limit, and
// turns whatever goes wrong into a problem.
func (s *service) edge(c *fiber.Ctx) (err error) {
	id := requestID(c.Get(requestIDHeader))
	c.Set(requestIDHeader, id)
	c.Locals(requestIDHeader, id)
	ctx, cancel := context.WithTimeout(c.UserContext(), requestTimeout)
	defer cancel()
	c.SetUserContext(ctx)
	begin := time.Now()
	defer func() {
		operation, _ := c.Locals(endpointKey).(string)
		s.Observe(operation, c.Response().StatusCode(), time.Since(begin))
	}()
	defer func() {
		if r := recover(); r != nil {
			s.Logger.Error("panic in the control API", "type", "http-log", "request_id", id, "panic", r, "stack", string(debug.Stack()))
			c.Response().ResetBody()
			err = write(c, problem(http.StatusInternalServerError, errcode.Unexpected, "internal error"))
		}
	}()
	// fiber inflates bodies without a limit.
	if encoding := c.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return write(c, problem(http.StatusUnsupportedMediaType, errcode.BadRequest, "send the body without a content encoding"))
	}
	if err := c.Next(); err != nil {
		return ErrorHandler(c, err)
	}
	return nil
}

var validRequestID = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9._:/+=-]{1,128}$`)
})

// requestID is the client's id if it can be one, else a new one. It is a copy.
func requestID(given string) string {
	if validRequestID().MatchString(given) {
		return strings.Clone(given)
	}
	return uuid.NewString()
}

// ErrorHandler answers errors of fiber itself (a body over the limit, no such
// route) as problems. It fits fiber.Config.ErrorHandler.
func ErrorHandler(c *fiber.Ctx, err error) error {
	if len(c.Response().Header.Peek(requestIDHeader)) == 0 {
		c.Set(requestIDHeader, requestID(c.Get(requestIDHeader)))
	}
	var known *fiber.Error
	if !asError(err, &known) {
		return write(c, problemOf(err))
	}
	switch known.Code {
	case http.StatusNotFound:
		return write(c, problem(http.StatusNotFound, errcode.NotFound, "not found"))
	case http.StatusMethodNotAllowed:
		return write(c, problem(http.StatusMethodNotAllowed, errcode.MethodNotAllowed, "the method is not allowed here"))
	case http.StatusRequestEntityTooLarge:
		return write(c, problem(http.StatusRequestEntityTooLarge, errcode.BadRequest, "the request body is too large"))
	}
	if known.Code >= 400 && known.Code < 500 {
		return write(c, problem(known.Code, errcode.BadRequest, http.StatusText(known.Code)))
	}
	return write(c, problem(http.StatusInternalServerError, errcode.Unexpected, "internal error"))
}

// route is one path of the API, for telling 405 from 404. Parameters stand in braces.
type route struct{ method, path string }

// matches reports whether the path of a request is this route's: a parameter is
// anything but a slash and the colon of a verb.
func (r route) matches(path string) bool {
	path = strings.TrimSuffix(path, "/")
	for rest := r.path; ; {
		literal, after, more := strings.Cut(rest, "{")
		if !more {
			return path == literal
		}
		var begins bool
		if path, begins = strings.CutPrefix(path, literal); !begins {
			return false
		}
		value := len(path)
		if at := strings.IndexAny(path, "/:"); at >= 0 {
			value = at
		}
		if value == 0 {
			return false
		}
		path = path[value:]
		_, rest, _ = strings.Cut(after, "}")
	}
}

// noRoute answers what no route of the API took.
func (s *service) noRoute(c *fiber.Ctx) error {
	var allowed []string
	for _, r := range s.routes {
		if r.matches(c.Path()) && !slices.Contains(allowed, r.method) {
			allowed = append(allowed, r.method)
		}
	}
	if len(allowed) == 0 {
		return write(c, problem(http.StatusNotFound, errcode.NotFound, "not found"))
	}
	c.Set("Allow", strings.Join(allowed, ", "))
	return write(c, problem(http.StatusMethodNotAllowed, errcode.MethodNotAllowed, "the method is not allowed here"))
}

// request is huma.Context under a name that leaves its method Context visible
// when it is embedded.
type request huma.Context

// owned is a request whose strings are copies: fiber's point into a buffer that
// the next request writes over, and ours end up in audit events and map keys.
type owned struct{ request }

func ownedStrings(ctx huma.Context, next func(huma.Context)) { next(owned{ctx}) }

// Unwrap gives the request under the copies, for humafiber.Unwrap.
func (o owned) Unwrap() huma.Context { return o.request }

// Param copies a path parameter.
func (o owned) Param(name string) string { return strings.Clone(o.request.Param(name)) }

// Query copies a query parameter.
func (o owned) Query(name string) string { return strings.Clone(o.request.Query(name)) }

// Header copies a header.
func (o owned) Header(name string) string { return strings.Clone(o.request.Header(name)) }

// Lookup makes owned what authn reads headers of; one that is empty is absent.
func (o owned) Lookup(name string) (string, bool) {
	value := o.Header(name)
	return value, value != ""
}

// All calls f for each header.
func (o owned) All(f func(name, value string)) { o.EachHeader(f) }

func (o owned) fiber() *fiber.Ctx { return humafiber.Unwrap(o.request) }

func (o owned) with(key, value any) owned { return owned{huma.WithValue(o.request, key, value)} }

func (o owned) fail(p *Problem) { _ = write(o.fiber(), p) }

func (o owned) requestID() string {
	id, _ := o.fiber().Locals(requestIDHeader).(string)
	return id
}
