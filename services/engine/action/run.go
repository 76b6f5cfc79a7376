package action

import (
	"encoding/json"

	"tenantry/api/errcode"
)

// RunErrors is what the creator of a run sees of its error: the public message,
// code and path, and extensions only in the handler's own words.
func RunErrors(e *errcode.Error) json.RawMessage {
	out := struct {
		Code       errcode.Code   `json:"code"`
		Error      string         `json:"error"`
		Extensions map[string]any `json:"extensions,omitempty"`
		Path       string         `json:"path"`
	}{Code: e.Code, Error: e.Message, Path: "$"}
	if e.Foreign {
		out.Extensions = e.Extensions
	}
	text, err := encode(out)
	if err != nil { // extensions came from JSON, so that they can be written
		return json.RawMessage(`{"code":"unexpected","error":"internal error","path":"$"}`)
	}
	return text
}

// NotCalled reports whether a call was refused before the handler heard of it,
// because of a cap or an open circuit: nothing was tried.
func NotCalled(r Result, err error) bool {
	e := errcode.From(err)
	return e != nil && !e.Foreign && r.Attempts == 0 && (e.Code == errcode.ActionCircuitOpen || e.Code == errcode.ActionOverloaded)
}

// The kinds of failures after which a call may be made again.
const (
	FailureBusy    = "429"
	FailureServer  = "5xx"
	FailureNetwork = "network"
)

// Failure tells which kind a failed call is of; empty for one that would only fail
// again: the handler refused, or its answer breaks the contract.
func Failure(r Result, err error) string {
	if err == nil {
		return ""
	}
	e := errcode.From(err)
	switch code := e.Code; {
	case r.Status == 429:
		return FailureBusy
	case r.Status >= 500:
		return FailureServer
	case e.Foreign:
		return "" // whatever code the handler chose
	case code == errcode.ActionTimeout, code == errcode.ActionUnreachable:
		return FailureNetwork
	}
	return ""
}
