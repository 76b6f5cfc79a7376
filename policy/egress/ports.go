package egress

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var errPort = errors.New("egress: port is not among those that are allowed")

// Ports are ranges of ports, both ends among them; nil is any port.
type Ports []PortRange

// PortRange is what lies from First to Last.
type PortRange struct{ First, Last uint16 }

// The ports of a server that serves others.
const (
	WebPorts      = "80,443"
	DatabasePorts = "5432,6432,1024-65535"
)

// ReadPorts reads a list such as "80,443,8000-8999". An error says of each item
// that is none what was expected.
func ReadPorts(items []string) (Ports, error) {
	var out Ports
	var errs []error
	for _, item := range items {
		from, to, isRange := strings.Cut(item, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(strings.TrimSpace(from), 10, 16)
		last, wrong := strconv.ParseUint(strings.TrimSpace(to), 10, 16)
		if err != nil || wrong != nil || first == 0 || last < first {
			errs = append(errs, fmt.Errorf("expected ports between 1 and 65535 such as 443 or 8000-8999, got %q", item))
			continue
		}
		out = append(out, PortRange{uint16(first), uint16(last)})
	}
	return out, errors.Join(errs...)
}

func (p Ports) check(port uint16) error {
	if p == nil {
		return nil
	}
	for _, r := range p {
		if r.First <= port && port <= r.Last {
			return nil
		}
	}
	return blocked(fmt.Errorf("%w: %d", errPort, port))
}
