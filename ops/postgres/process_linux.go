package postgres

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// processAttributes puts the child in a group of its own (Ctrl-C in the
// terminal is for us, we then stop Postgres in order), as the given user, and
// has the kernel ask it for a fast shutdown when we die.
func processAttributes(owner *credential) *syscall.SysProcAttr {
	attr := owner.attributes()
	attr.Pdeathsig = syscall.SIGINT
	return attr
}

// processState gives the name and the state letter of a process; ok is false
// when there is none. A zombie (Z) is there but runs no more.
func processState(pid int) (name string, state byte, ok bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", 0, false
	}
	// The name stands in parentheses and may hold any byte, parentheses too.
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open || end+2 >= len(stat) {
		return "", 0, false
	}
	return string(stat[open+1 : end]), stat[end+2], true
}

// isPostmaster reports whether pid is a live Postgres of this data folder. All
// its processes have the folder as working directory.
func isPostmaster(pid int, pgdata string) bool {
	name, state, ok := processState(pid)
	if !ok || state == 'Z' || state == 'X' {
		return false
	}
	cwd, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
	if errors.Is(err, fs.ErrPermission) {
		return name == "postgres" || name == "postmaster"
	}
	return err == nil && cwd == pgdata && (name == "postgres" || name == "postmaster")
}

// processesOf lists the live Postgres processes that work in the data folder:
// after the postmaster was killed, those that are still ending.
func processesOf(pgdata string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if cwd, err := os.Readlink("/proc/" + entry.Name() + "/cwd"); err == nil && cwd == pgdata && isPostmaster(pid, pgdata) {
			pids = append(pids, pid)
		}
	}
	return pids
}
