package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/*/stat: USER_HZ is 100 on every Linux that
// Go runs on.
const tick = 10 * time.Millisecond

// processTimes are what /proc/<pid>/stat tells of CPU.
type processTimes struct {
	parent   int
	own      time.Duration // user and system, all threads
	children time.Duration // of children that ended and were waited for
}

// parseStat reads the text of /proc/<pid>/stat. The second field is the name in
// brackets, which may hold anything.
func parseStat(text []byte) (processTimes, error) {
	close := bytes.LastIndexByte(text, ')')
	if close < 0 {
		return processTimes{}, fmt.Errorf("no name in brackets in %q", text)
	}
	fields := strings.Fields(string(text[close+1:]))
	// state ppid … utime stime cutime cstime are fields 3, 4, 14 to 17 of proc(5).
	if len(fields) < 15 {
		return processTimes{}, fmt.Errorf("only %d fields in %q", len(fields)+2, text)
	}
	var n [5]int64
	for i, field := range []int{1, 11, 12, 13, 14} {
		var err error
		if n[i], err = strconv.ParseInt(fields[field], 10, 64); err != nil {
			return processTimes{}, fmt.Errorf("field %d of %q: %w", field+3, text, err)
		}
	}
	return processTimes{int(n[0]), time.Duration(n[1]+n[2]) * tick, time.Duration(n[3]+n[4]) * tick}, nil
}

func timesOf(pid int) (processTimes, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return processTimes{}, err
	}
	return parseStat(text)
}

// cpuOf is the CPU time that a process has used.
func cpuOf(pid int) (time.Duration, error) {
	t, err := timesOf(pid)
	return t.own, err
}

// cpuOfFamily is the CPU time of a process and all of its children, those that
// have ended included: a Postgres.
func cpuOfFamily(pid int) (time.Duration, error) {
	root, err := timesOf(pid)
	if err != nil {
		return 0, err
	}
	sum := root.own + root.children
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile, and counts as the parent's
		}
		if t, err := parseStat(text); err == nil && t.parent == pid {
			sum += t.own + t.children
		}
	}
	return sum, nil
}

// peakMemory is the most memory that a process had resident, in MiB.
func peakMemory(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parsePeak(text)
}

func parsePeak(status []byte) (float64, error) {
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("no VmHWM in the status of the process")
}
