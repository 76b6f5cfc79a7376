package authz

import (
	"sync/atomic"
	"testing"
)

// Fault is a way to translate wrongly. Tests seed one to see that their comparison
// of filters with Rego finds it.
type Fault int32

// The faults.
const (
	NoFault         Fault = iota
	DefaultInlining       // partial evaluation as OPA does it unasked
	SQLNot                // NOT, which keeps unknown unknown, for Rego's not
)

type fault struct{ atomic.Int32 }

func (f *fault) Load() Fault { return Fault(f.Int32.Load()) }

var seeded fault

// Seed makes policies that are compiled from now on wrong, until it is called
// with NoFault. It panics outside of tests.
func Seed(f Fault) {
	if !testing.Testing() {
		panic("authz: faults are for tests")
	}
	seeded.Store(int32(f))
}
