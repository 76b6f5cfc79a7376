//go:build !race

package authz_test

// slowed is how many times more processor time the race detector takes.
const slowed = 1
