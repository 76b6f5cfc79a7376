//go:build !race

package authz

// slack is how many times longer than the design says an evaluation may take.
const slack = 1
