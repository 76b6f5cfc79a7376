package action

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"tenantry/api/errcode"
	"tenantry/api/plainjson"
)

// result turns the handler's answer into a checked output or a public error.
func (x *exchange) result() (any, *errcode.Error) {
	success, refusal := x.status/100 == 2, x.status/100 == 4
	if exposed := x.exposed(); exposed != nil {
		return nil, exposed
	}
	if !success && !refusal {
		reason := fmt.Sprintf("expecting 2xx or 4xx status code, but found %d", x.status)
		return nil, internal(errors.New(reason)).WithInternal(x.detail(reason))
	}
	if !x.complete {
		return nil, errcode.New(errcode.ActionResponseTooLarge,
			"the webhook response is larger than the limit of %d bytes", x.caller.MaxResponse).
			WithInternal(x.detail("response too large"))
	}
	value, err := x.decoded()
	if err != nil {
		// The decoder's own message may quote the body, so it is not kept.
		return nil, x.unexpected("not a valid json response from webhook")
	}
	if x.postponed(value) {
		x.pending = true
		return nil, nil
	}
	value, flagged, failure := x.answered(value)
	if failure != nil {
		return nil, failure
	}
	if refusal || flagged {
		return nil, x.refusal(value)
	}
	if mistake := check(x.call.Types, x.call.Action.Output, value); mistake != "" {
		return nil, x.unexpected(mistake)
	}
	return value, nil
}

// decoded is the answer's JSON. What is none is null where the action's transform
// says what to make of it.
func (x *exchange) decoded() (any, error) {
	value, err := decode(x.answer)
	if err == nil || x.transforms == nil {
		return value, err
	}
	r := x.transforms.response
	if r.TakesText() || r.TakesNothing() && len(bytes.TrimSpace(x.answer)) == 0 {
		return nil, nil
	}
	return nil, err
}

// exposed is the message of a 5xx answer where the action lets clients see it; nil
// where it does not, or where there is none.
func (x *exchange) exposed() (refused *errcode.Error) {
	if x.status/100 != 5 || !x.call.Action.Metadata.Definition.Expose5xxMessage || !x.complete {
		return nil
	}
	if value, err := decode(x.answer); err == nil {
		refused, _ = Refusal(value)
	}
	return refused
}

// postponed reports whether the handler will report its result later, which it may
// only if it was told how.
func (x *exchange) postponed(value any) bool {
	answer, _ := value.(map[string]any)
	return x.status == http.StatusAccepted && !x.call.Completion.IsZero() && answer["status"] == "pending"
}

// refusal passes on what a handler tells the client: its message and extensions
// verbatim.
func (x *exchange) refusal(value any) *errcode.Error {
	refused, mistake := Refusal(value)
	if mistake != "" {
		return x.unexpected(mistake)
	}
	return refused
}

// Refusal reads a handler's own error, {message, code?, extensions?}; if the value
// is none, it says why.
func Refusal(value any) (refused *errcode.Error, mistake string) {
	answer, _ := value.(map[string]any)
	message, ok := answer["message"].(string)
	if !ok {
		return nil, `expecting an error response from webhook with the key "message" (string)`
	}
	code, isString := answer["code"].(string)
	if answer["code"] != nil && !isString {
		return nil, `expecting a string for the key "code" in the error response from webhook`
	}
	if code == "" {
		code = string(errcode.Unexpected)
	}
	if answer["extensions"] == nil {
		return foreign(code, message), ""
	}
	extensions, ok := answer["extensions"].(map[string]any)
	if !ok {
		return nil, `expecting an object for the key "extensions" in the error response from webhook`
	}
	if own, ok := extensions["code"].(string); ok && own != "" {
		code = own // for the audit: what the client sees
	}
	return foreign(code, message).WithExtensions(extensions), ""
}

// foreign is an error in the handler's own words.
func foreign(code, message string) *errcode.Error {
	e := plain(errcode.Code(code), message)
	e.Foreign = true
	return e
}

// plain is an error whose message is not ours: it must not be read as a format.
func plain(code errcode.Code, message string) *errcode.Error {
	return &errcode.Error{Code: code, Message: message}
}

// unexpected is the error of an answer that breaks the contract.
func (x *exchange) unexpected(message string) *errcode.Error {
	return plain(errcode.Unexpected, message).WithInternal(x.detail("unexpected response"))
}

// decode reads exactly one JSON document; numbers keep their digits.
func decode(text []byte) (any, error) {
	if value, ok := plainjson.Value(text); ok {
		return value, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text after the JSON document")
	}
	return value, nil
}
