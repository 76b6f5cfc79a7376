//go:build !linux

package main

import (
	"errors"
	"time"
)

// load measures on Linux alone: CPU time comes from /proc.
type load struct{}

func newLoad(string, int, [][]byte) (*load, error) {
	return nil, errors.New("the benchmark runs on Linux")
}

func (l *load) run(time.Duration) ([]time.Duration, error) { return nil, nil }

func (l *load) drain() error { return nil }

func (l *load) close() {}
