//go:build race

package operation_test

// The race detector makes code ten times slower.
const raceFactor = 10
