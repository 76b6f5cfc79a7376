package socket

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzRead sends what no client would: whatever is understood is complete, and
// whatever is told of it is valid.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		`{"type":"connection_init","payload":{"headers":{"a":"b","c":null}}}`, `{"type":"start","id":"1","payload":{"query":"{a}"}}`,
		`{"type":"subscribe","id":"é","payload":{}}`, `{"type":"stop","id":""}`, `{"type":"ping","payload":[1]}`, `{"type":"` + strings.Repeat("é", 40) + `"}`,
		`{"type":1}`, `[]`, `null`, "\xff", `{"id":{},"type":"complete"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, p := range []protocol{legacy, modern} {
			m, err := p.read(text)
			if err != nil {
				if frame := closeBadMessage(err).frame(); len(frame) > 125 || !utf8.Valid(frame[2:]) {
					t.Fatalf("close frame %q", frame)
				}
				continue
			}
			if (m.kind == start || m.kind == stop) && (m.id == "" || len(m.id) > maxID) {
				t.Fatalf("accepted the id %q", m.id)
			}
			for _, answer := range [][]byte{p.data(m.id, []byte(`{}`)), p.complete(m.id), p.wrong(m.id, []byte(`{}`)), p.pong(m.payload)} {
				if !json.Valid(answer) {
					t.Fatalf("not JSON: %s", answer)
				}
			}
		}
	})
}

func TestWhoOffersTheNewerProtocolGetsIt(t *testing.T) {
	t.Parallel()
	for offered, want := range map[string]bool{"": false, "graphql-ws": false, "graphql-ws, graphql-transport-ws": true, "other": false, "graphql-transport-ws": true} {
		if Modern(offered) != want {
			t.Errorf("%q: %t", offered, !want)
		}
	}
}
