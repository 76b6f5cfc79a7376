//go:build !race

package metadataapi_test

const slowdown = 1
