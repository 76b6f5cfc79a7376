//go:build race

package authz

// slack is how many times longer than the design says an evaluation may take: the race
// detector makes it about as much slower.
const slack = 10
