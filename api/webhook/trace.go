package webhook

import (
	"crypto/rand"
	"encoding/hex"
)

// NewTrace is a traceparent that starts a trace which is not sampled (W3C Trace
// Context).
func NewTrace() string {
	var id [24]byte
	_, _ = rand.Read(id[:]) // never fails: the runtime ends the program instead
	return "00-" + hex.EncodeToString(id[:16]) + "-" + hex.EncodeToString(id[16:]) + "-00"
}
