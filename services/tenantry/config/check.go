package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"tenantry/policy/egress"
)

// complete fills in the defaults that depend on other settings and checks the
// settings against each other. Texts that could not be read are passed over
// here: they are mistakes already.
func complete(c *Config, g given, from Sources) Mistakes {
	var mistakes Mistakes
	mistake := func(name, format string, args ...any) {
		i := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
		mistakes = append(mistakes, g.name(settings[i])+": "+fmt.Sprintf(format, args...))
	}
	missing := func(name string) bool { return !g.has(name) }

	if c.Command != Dev && missing("database-url") {
		mistake("database-url", "expected the URL of the control plane's database; `tenantry dev` needs none")
	}
	if c.Command == Migrate {
		return mistakes // the rest does not matter to it
	}
	if c.DataDir == "" {
		c.DataDir = defaultDataDir(from)
	}
	if c.DataDir == "" && missing("data-dir") {
		mistake("data-dir", "expected a folder, because there is no home folder")
	}
	if c.Keyring == "" && c.DataDir != "" {
		c.Keyring = filepath.Join(c.DataDir, "keyring.json")
	}
	if c.Command == Dev {
		for _, network := range egress.Loopback() {
			if !slices.Contains(c.EgressAllow, network) {
				c.EgressAllow = append(c.EgressAllow, network)
			}
		}
	}
	if c.Command == Serve && c.Demo {
		mistake("demo", "only `tenantry dev` makes a demo tenant")
	}
	if c.Command == Serve && c.Signup == SignupOperator && missing("operator-key") {
		mistake("operator-key", "expected a key, because with --signup operator nobody else can create tenants")
	}
	if c.Listen != "" && c.Listen == c.OperatorListen && !anyPort(c.Listen) {
		mistake("operator-listen", "expected another address than the public listener's, %s", c.Listen)
	}
	switch {
	case c.TLSCert != "" && c.TLSKey == "":
		mistake("tls-key", "expected the private key of --tls-cert")
	case c.TLSCert == "" && c.TLSKey != "":
		mistake("tls-cert", "expected the certificate of --tls-key")
	case c.TLSCert != "":
		if _, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey); err != nil {
			mistake("tls-cert", "expected a certificate and its key in PEM: %s", fileProblem(err))
		}
	}
	return mistakes
}

// anyPort reports whether an address leaves the port to the system.
func anyPort(address string) bool {
	return len(address) >= 2 && address[len(address)-2:] == ":0"
}

func fileProblem(err error) string {
	if cause := (*fs.PathError)(nil); errors.As(err, &cause) {
		return fmt.Sprintf("cannot read %s: %v", cause.Path, cause.Err)
	}
	return firstLine(err)
}
