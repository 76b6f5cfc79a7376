package action

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tenantry/api/errcode"
)

// exceptionMessage is all that clients learn of a handler that gave no answer;
// the code tells the kinds apart.
const exceptionMessage = "http exception when calling webhook"

// failed makes the public error of an exchange that broke off.
func (x *exchange) failed(parent, within context.Context, failure error) *errcode.Error {
	if parent.Err() != nil {
		return ended(parent)
	}
	code, reason := classify(failure)
	if within.Err() != nil || code == errcode.ActionTimeout {
		code, reason = errcode.ActionTimeout, "no complete answer within "+x.timeout.Round(time.Millisecond).String()
	}
	message := exceptionMessage
	if code == errcode.QuotaExceeded {
		message = reason
	}
	return errcode.New(code, "%s", message).
		WithInternal(x.detail(reason)).
		Because(&cause{reason: reason, err: failure})
}

// ended is the error of a call whose caller went away or ran out of time. It is
// no failure of the handler.
func ended(ctx context.Context) *errcode.Error {
	reason := context.Cause(ctx)
	var known *errcode.Error
	if errors.As(reason, &known) {
		return known
	}
	if errors.Is(reason, context.DeadlineExceeded) {
		return errcode.New(errcode.TimeLimitExceeded, "the operation took longer than its time limit").Because(reason)
	}
	return errcode.New(errcode.Unexpected, "the request was canceled").Because(reason)
}

// misconfigured is the error of a definition that cannot be called as it
// stands. The reason names variables and headers, never their values.
func (x *exchange) misconfigured(reason string) *errcode.Error {
	return internal(errors.New(reason)).WithInternal(x.detail(reason))
}

func internal(cause error) *errcode.Error {
	return errcode.New(errcode.Unexpected, "internal error").Because(cause)
}

// cause carries an error of the network to errors.Is and errors.As without its
// text, which may quote the handler's URL, host or certificate names: it does not
// unwrap, since what writes logs prints all that does.
type cause struct {
	reason string
	err    error
}

func (c *cause) Error() string { return c.reason }

// Is reports whether the error of the network is target.
func (c *cause) Is(target error) bool { return errors.Is(c.err, target) }

// As finds the error of the network that target can hold.
func (c *cause) As(target any) bool { return errors.As(c.err, target) }

// classify tells the kinds of failures apart, in words without addresses.
func classify(err error) (errcode.Code, string) {
	var (
		known       *errcode.Error
		timeout     interface{ Timeout() bool }
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		unknown     x509.UnknownAuthorityError
		hostname    x509.HostnameError
	)
	switch {
	case errors.As(err, &known) && known.Code == errcode.BlockedEgress:
		return errcode.BlockedEgress, "the handler's address may not be reached from here"
	case known != nil && known.Code == errcode.QuotaExceeded:
		return errcode.QuotaExceeded, known.Message
	case errors.As(err, &timeout) && timeout.Timeout():
		return errcode.ActionTimeout, "timeout"
	case errors.As(err, &dns):
		return errcode.ActionUnreachable, "the handler's host name was not found"
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &alert),
		errors.As(err, &unknown), errors.As(err, &hostname):
		return errcode.ActionUnreachable, "no TLS connection to the handler"
	case errors.Is(err, syscall.ECONNREFUSED):
		return errcode.ActionUnreachable, "connection refused"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errcode.ActionUnreachable, "the connection ended before the answer was complete"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return errcode.ActionUnreachable, "no route to the handler"
	}
	return errcode.ActionUnreachable, "the exchange with the handler failed"
}

// list prints names: "A", "B".
func list(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = strconv.Quote(name)
	}
	return strings.Join(quoted, ", ")
}
