package metadata

import (
	"slices"
	"strings"
)

// DefaultSource is the source that commands mean when they name none: the
// project's own database.
const DefaultSource = "default"

// isolationLevels of transactions.
var isolationLevels = []string{"read-committed", "repeatable-read", "serializable"}

func (d *decoder) configuration(c SourceConfiguration, at string) {
	if level := c.ConnectionInfo.IsolationLevel; level != "" && !slices.Contains(isolationLevels, level) {
		d.fail(at+".connection_info.isolation_level", "expected one of %s", strings.Join(isolationLevels, ", "))
	}
}
