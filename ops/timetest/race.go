//go:build race

package timetest

// Raced says that the race detector is on: code takes ten to twenty times as long, and
// pools drop what they hold at random.
const Raced = true
