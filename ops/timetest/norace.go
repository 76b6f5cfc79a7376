//go:build !race

package timetest

// Raced says that the race detector is on.
const Raced = false
