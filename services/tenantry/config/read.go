package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tenantry/policy/egress"
	"tenantry/policy/limits"
	"tenantry/tenants/vault"
)

// The readers below turn a text into a value. An error completes the sentence
// "<setting>: expected …" and never repeats a secret.

func readAddress(into *string, text string) error {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("expected host:port such as 127.0.0.1:8080 or :8080, got %q", text)
	}
	*into = text
	return nil
}

func readPostgresURL(into *vault.Secret, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return errors.New("expected a URL such as postgres://user:password@host:5432/database")
	}
	if u.Host == "" && u.Query().Get("host") == "" {
		return errors.New("expected a URL with a host")
	}
	*into = vault.NewSecret(text)
	return nil
}

func readRedisURL(into *vault.Secret, text string) error {
	if err := limits.CheckAddress(text); err != nil {
		return err
	}
	*into = vault.NewSecret(text)
	return nil
}

func readPlans(into *map[string]limits.Plan, text string) error {
	plans := map[string]limits.Plan{}
	var errs []error
	for _, item := range parts(text) {
		name, plan, err := limits.ReadPlan(item)
		if _, twice := plans[name]; twice && err == nil {
			err = fmt.Errorf("expected each plan once, got %s twice", name)
		}
		errs = append(errs, err)
		plans[name] = plan
	}
	*into = plans
	return errors.Join(errs...)
}

func readKey(into *vault.Secret, text string) error {
	for _, r := range text {
		if r <= ' ' || r > '~' {
			return errors.New("expected printable ASCII without spaces, as it is sent in a header")
		}
	}
	*into = vault.NewSecret(text)
	return nil
}

func readBool(into *bool, text string) error {
	value, err := strconv.ParseBool(text)
	if err != nil {
		return fmt.Errorf("expected true or false, got %q", text)
	}
	*into = value
	return nil
}

// readCount takes a number from 1 to most.
func readCount(into *int, text string, most int) error {
	value, err := strconv.Atoi(text)
	if err != nil || value < 1 || value > most {
		return fmt.Errorf("expected a number between 1 and %d, got %q", most, text)
	}
	*into = value
	return nil
}

func readOneOf(into *string, text string, allowed ...string) error {
	text = strings.ToLower(text)
	if !slices.Contains(allowed, text) {
		last := len(allowed) - 1
		return fmt.Errorf("expected %s or %s, got %q", strings.Join(allowed[:last], ", "), allowed[last], text)
	}
	*into = text
	return nil
}

func readDuration(into *time.Duration, text string) error {
	value, err := time.ParseDuration(text)
	if err != nil || value <= 0 || value > time.Hour {
		return fmt.Errorf("expected a time between 0 and 1h such as 30s, got %q", text)
	}
	*into = value
	return nil
}

// parts are the items of a list, without the blanks around them.
func parts(text string) []string {
	var out []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

func readNetworks(into *[]netip.Prefix, text string) error {
	var errs []error
	for _, item := range parts(text) {
		network, err := netip.ParsePrefix(item)
		if addr, single := netip.ParseAddr(item); single == nil {
			network, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("expected networks such as 10.0.0.0/8, got %q", item))
			continue
		}
		*into = append(*into, network.Masked())
	}
	return errors.Join(errs...)
}

func readPorts(into *egress.Ports, text string) (err error) {
	*into = nil
	if text != anyPortWord {
		*into, err = egress.ReadPorts(parts(text))
	}
	return err
}

var extensionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

func readExtensions(into *[]string, text string) error {
	var errs []error
	for _, item := range parts(text) {
		if !extensionName.MatchString(item) {
			errs = append(errs, fmt.Errorf("expected names of extensions such as postgis, got %q", item))
			continue
		}
		*into = append(*into, item)
	}
	return errors.Join(errs...)
}
