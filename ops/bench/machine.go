package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// describeMachine says in one line what a table was measured on.
func describeMachine(postgresVersion string) string {
	model := "unknown CPU"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if name := cpuModel(string(text)); name != "" {
			model = name
		}
	}
	kernel := runtime.GOOS
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = "Linux " + strings.TrimSpace(string(text))
	}
	return fmt.Sprintf("%d × %s, %s, PostgreSQL %s, %s", runtime.NumCPU(), model, kernel, postgresVersion, runtime.Version())
}

// cpuModel is the first model name in the text of /proc/cpuinfo.
func cpuModel(text string) string {
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
