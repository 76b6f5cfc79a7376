//go:build !race

package instance_test

// raced says that the race detector is on.
const raced = false
