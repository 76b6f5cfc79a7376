package socket

import (
	"encoding/binary"
	"fmt"

	"tenantry/api/errcode"
)

// closing is why the server ends a socket: the code and the text of its close
// frame.
type closing struct {
	code int
	text string
	// told is sent as a message before, where the protocol has one for it.
	told string
}

// The close codes: those of RFC 6455, and those of the protocols.
const (
	codeNormal        = 1000
	codeRestart       = 1012
	codeInternal      = 1011
	codeBadMessage    = 4400
	codeUnauthorized  = 4401
	codeForbidden     = 4403
	codeInitTimeout   = 4408
	codeDuplicate     = 4409
	codeTooMany       = 4429
	maxCloseText      = 123 // a control frame has 125 bytes, two are the code
	initTimeoutText   = "Connection initialisation timeout"
	startTooEarlyText = "start received before the connection is initialised"
)

var (
	closeNormal       = closing{code: codeNormal}
	closeRestart      = closing{code: codeRestart, text: "Service restart"}
	closeUnauthorized = closing{code: codeUnauthorized, text: "Unauthorized"}
	closeInitTimeout  = closing{code: codeInitTimeout, text: initTimeoutText, told: initTimeoutText}
	closeTooManyInits = closing{code: codeTooMany, text: "Too many initialisation requests", told: "Too many initialisation requests"}
	closeTooMany      = closing{code: codeTooMany, text: "Too many requests", told: "Too many requests"}
	closeFailed       = closing{code: codeInternal, text: "internal error", told: "internal error"}
)

func closeBadMessage(problem error) closing {
	return closing{code: codeBadMessage, text: "4400: " + problem.Error(), told: problem.Error()}
}

func closeDuplicate(id string) closing {
	text := fmt.Sprintf("Subscriber for %s already exists", id)
	return closing{code: codeDuplicate, text: text, told: text}
}

// closeRefused is the end of a socket whose client is not let in.
func (p protocol) closeRefused(err error) closing {
	message := errcode.From(err).Message
	if !p.tells {
		return closing{code: codeForbidden, text: "Forbidden"}
	}
	return closing{code: codeBadMessage, text: "Connection initialization failed: " + message, told: message}
}

// closeEnded is the end of a socket whose session counts no longer. A failure to
// find out ends it too, with a code after which clients try again.
func closeEnded(err error) closing {
	if e := errcode.From(err); e.Code != errcode.Unexpected {
		return closing{code: codeForbidden, text: e.Message}
	}
	return closeFailed
}

var errExpired = errcode.New(errcode.AccessDenied, "the session has expired")

// frame is the payload of a close frame.
func (c closing) frame() []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(c.code)), clip(c.text, maxCloseText)...)
}
