//go:build race

package metadataapi_test

// slowdown is about what the race detector costs.
const slowdown = 10
