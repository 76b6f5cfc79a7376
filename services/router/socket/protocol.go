package socket

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"tenantry/api/graphqlhttp"
)

// Subprotocols are the names that a client may offer, the preferred one first.
var Subprotocols = []string{transportName, "graphql-ws"}

const transportName = "graphql-transport-ws"

// Modern reports whether a Sec-WebSocket-Protocol header asks for the newer
// protocol. Clients that offer anything else, or nothing, speak the older one.
func Modern(offered string) bool {
	for name := range strings.SplitSeq(offered, ",") {
		if strings.TrimSpace(name) == transportName {
			return true
		}
	}
	return false
}

// kind is what a message of a client asks for, in either protocol.
type kind int

const (
	initialise kind = iota + 1
	start
	stop
	terminate
	ping
	pong
)

// protocol holds the words of one of the two protocols.
type protocol struct {
	kinds     map[string]kind
	next      string // the type of a message with a result
	keepAlive []byte
	// greets says that a keep-alive follows the acknowledgement at once.
	greets bool
	// tells says that the reason of a failure is sent as a message before the
	// socket is closed.
	tells bool
}

var (
	legacy = protocol{
		kinds:     map[string]kind{"connection_init": initialise, "start": start, "stop": stop, "connection_terminate": terminate},
		next:      "data",
		keepAlive: []byte(`{"type":"ka"}`),
		greets:    true,
		tells:     true,
	}
	modern = protocol{
		kinds:     map[string]kind{"connection_init": initialise, "subscribe": start, "complete": stop, "ping": ping, "pong": pong},
		next:      "next",
		keepAlive: []byte(`{"type":"ping","payload":{"message":"keepalive"}}`),
	}
)

// message is what a client sent.
type message struct {
	kind    kind
	id      string          // of start and stop
	payload json.RawMessage // of start: a JSON object
	headers []graphqlhttp.Header
}

// maxID bounds the ids of operations, which every answer repeats.
const maxID = 256

// read understands a client's text; the error is a sentence for the client.
func (p protocol) read(text []byte) (message, error) {
	var in struct {
		Type    string          `json:"type"`
		ID      *string         `json:"id"`
		Payload json.RawMessage `json:"payload"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return message{}, fmt.Errorf("expected a JSON object with the strings type and id")
	}
	m := message{kind: p.kinds[in.Type], payload: in.Payload}
	switch m.kind {
	case 0:
		return message{}, fmt.Errorf("unknown message type %q", clip(in.Type, 40))
	case initialise:
		var err error
		m.headers, err = initHeaders(in.Payload)
		return m, err
	case start, stop:
		if in.ID == nil || *in.ID == "" || len(*in.ID) > maxID {
			return message{}, fmt.Errorf("%s: expected an id of 1 to %d bytes", in.Type, maxID)
		}
		m.id = *in.ID
	}
	if m.kind == start && !bytes.HasPrefix(in.Payload, []byte{'{'}) {
		return message{}, fmt.Errorf("%s: expected an object as payload", in.Type)
	}
	return m, nil
}

// maxHeaders bounds connection_init, in bytes: headers of a request over HTTP have no
// more either.
const maxHeaders = 64 << 10

// initHeaders reads {"headers": {name: value}} of connection_init.
func initHeaders(payload json.RawMessage) ([]graphqlhttp.Header, error) {
	if len(payload) == 0 {
		return nil, nil
	}
	if len(payload) > maxHeaders {
		return nil, fmt.Errorf("connection_init: expected at most %d bytes", maxHeaders)
	}
	var in struct {
		Headers map[string]json.RawMessage `json:"headers"`
	}
	if err := json.Unmarshal(payload, &in); err != nil {
		return nil, fmt.Errorf("connection_init: expected the payload {headers: {name: value}}")
	}
	out := make([]graphqlhttp.Header, 0, len(in.Headers))
	for name, text := range in.Headers {
		var value *string
		if err := json.Unmarshal(text, &value); err != nil {
			return nil, fmt.Errorf("connection_init: expected a string as header %q", clip(name, 40))
		}
		if value != nil {
			out = append(out, graphqlhttp.Header{Name: name, Value: *value})
		}
	}
	return out, nil
}

// acknowledge is the answer to connection_init.
var acknowledge = []byte(`{"type":"connection_ack"}`)

// data is the message with one result of an operation.
func (p protocol) data(id string, body []byte) []byte {
	return envelope(p.next, id, body)
}

// complete is the message that ends an operation.
func (p protocol) complete(id string) []byte { return envelope("complete", id, nil) }

// refusal is the message that ends an operation that did not run. The newer
// protocol sends a list of errors, the older one the document of the path.
func (p protocol) refusal(id string, r Refusal) []byte {
	if p.tells {
		return envelope("error", id, r.Document)
	}
	return p.wrong(id, r.Error)
}

// wrong is the message about a start that could not be one.
func (p protocol) wrong(id string, problem []byte) []byte {
	if !p.tells {
		problem = append(append([]byte{'['}, problem...), ']')
	}
	return envelope("error", id, problem)
}

// pong is the answer to a ping, with its payload.
func (p protocol) pong(payload json.RawMessage) []byte { return envelope("pong", "", payload) }

// connectionError tells why the socket will be closed.
func connectionError(text string) []byte { return envelope("connection_error", "", quote(text)) }

func envelope(kind, id string, payload []byte) []byte {
	out := make([]byte, 0, len(payload)+len(id)+64)
	out = append(append(append(out, `{"type":"`...), kind...), '"')
	if id != "" {
		out = append(append(out, `,"id":`...), quote(id)...)
	}
	if len(payload) > 0 {
		out = append(append(out, `,"payload":`...), payload...)
	}
	return append(out, '}')
}

func quote(text string) []byte {
	out, _ := json.Marshal(text) // a string always encodes
	return out
}

// clip shortens a text to at most n bytes, between characters.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
