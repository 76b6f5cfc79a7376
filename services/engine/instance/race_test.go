//go:build race

package instance_test

// raced says that the race detector is on: pools then drop what they hold at random.
const raced = true
