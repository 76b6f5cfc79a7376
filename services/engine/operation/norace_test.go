//go:build !race

package operation_test

const raceFactor = 1
