//go:build race

package e2e

// Tests under the race detector run a program that is under it too.
func init() { buildFlags, hostileFactor = []string{"-race"}, 10 }
