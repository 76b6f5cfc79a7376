package program

import (
	"runtime"
	"runtime/debug"
)

// Version is that of the product; release builds set it by -ldflags -X.
var Version = "0.1.0-dev"

// describeBuild adds to the version what the toolchain knows of the build.
func describeBuild() string {
	text := Version
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return text
	}
	known := map[string]string{}
	for _, s := range info.Settings {
		known[s.Key] = s.Value
	}
	if commit := known["vcs.revision"]; commit != "" {
		if len(commit) > 12 {
			commit = commit[:12]
		}
		if known["vcs.modified"] == "true" {
			commit += "+changes"
		}
		text += " (" + commit + ")"
	}
	return text + " " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
}
