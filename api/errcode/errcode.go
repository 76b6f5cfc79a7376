// Package errcode holds the public error codes of every API and the one error
// type that may reach a client.
//
// Every stage of a request returns ordinary Go errors; those that a client may
// see are *Error. The presenters at the edge call From, which hides whatever is
// not an *Error behind "internal error": the default is to hide.
package errcode

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
)

// Error is a failure that a client may see: a stable code, a sentence, and the
// place in the request. The cause is private: Error() does not print it,
// errors.Unwrap finds it, and logs show it to operators.
type Error struct {
	// Code is stable and documented; clients may branch on it.
	Code Code
	// Message is one public sentence (or the handler's own message, verbatim).
	Message string
	// Path is the place in the request: "$.selectionSet.f" for GraphQL,
	// "$.args.name" for the metadata API. Empty means "$".
	Path string
	// Extensions, when not nil, replaces path and code in a GraphQL error's
	// extensions: a handler's own extensions are passed on verbatim.
	Extensions map[string]any
	// Foreign says that message and code are a handler's own words: whatever the
	// code, it is no refusal of ours and has no status of ours.
	Foreign bool
	// Internal is shown to admins (and in dev mode) as extensions.internal. It
	// must hold no secrets.
	Internal any

	status int // 0: that of the code
	cause  error
}

// New returns an error with a public message.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error returns the public message alone.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the private cause.
func (e *Error) Unwrap() error { return e.cause }

// At returns a copy of e whose path is path.
func (e *Error) At(path string) *Error {
	c := *e
	c.Path = path
	return &c
}

// Because returns a copy of e with a private cause, for logs.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// WithInternal returns a copy of e with a detail that only admins see.
func (e *Error) WithInternal(detail any) *Error {
	c := *e
	c.Internal = detail
	return &c
}

// WithExtensions returns a copy of e whose GraphQL extensions are ext verbatim.
func (e *Error) WithExtensions(ext map[string]any) *Error {
	c := *e
	c.Extensions = maps.Clone(ext)
	return &c
}

// WithStatus returns a copy of e with a status of its own: some codes of the
// dialect come with several.
func (e *Error) WithStatus(status int) *Error {
	c := *e
	c.status = status
	return &c
}

// Status is the HTTP status of e where an API uses statuses; 400 for what a
// handler said.
func (e *Error) Status() int {
	if e.status != 0 {
		return e.status
	}
	if e.Foreign {
		return http.StatusBadRequest
	}
	return e.Code.Status()
}

// OwnStatus is the status that e was given, or 0.
func (e *Error) OwnStatus() int { return e.status }

// From finds the *Error in err's chain; any other error becomes "internal
// error" with err as its private cause. From(nil) is nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return New(Unexpected, "internal error").Because(err)
}
