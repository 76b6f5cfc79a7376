//go:build unix && !linux

package postgres

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// processAttributes is as on Linux but for the parent-death signal, which only
// Linux has: elsewhere the next start adopts the postmaster.
func processAttributes(owner *credential) *syscall.SysProcAttr {
	return owner.attributes()
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// isPostmaster reports whether pid is a live Postgres. Without /proc its folder
// is not known; whoever adopts it compares data_directory as well.
func isPostmaster(pid int, _ string) bool {
	if !alive(pid) {
		return false
	}
	out, err := exec.Command("ps", "-o", "state=,comm=", "-p", strconv.Itoa(pid)).Output()
	fields := strings.Fields(string(out))
	if err != nil || len(fields) < 2 || strings.HasPrefix(fields[0], "Z") {
		return false
	}
	name := filepath.Base(fields[1])
	return name == "postgres" || name == "postmaster"
}

// processesOf is not known here; Postgres itself refuses to start while the old
// shared memory is attached, and Start retries.
func processesOf(string) []int { return nil }
