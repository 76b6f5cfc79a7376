package config

import (
	"fmt"
	"io"
	"strings"

	"tenantry/tenants/vault"
)

// Print writes every setting of a command as it takes effect, in the form of a
// configuration file, each with where it comes from. Secrets are masked.
// Mistakes are no hindrance: they are what one may want to see.
func Print(w io.Writer, command Command, from Sources) error {
	given, _ := collect(from)
	c := Config{Command: command}
	for _, s := range settings {
		if s.name == "data-dir" && given.has(s.name) {
			_ = s.read(&c, given.text(s, command))
		}
	}
	_ = complete(&c, given, from) // only for the defaults that it fills in
	for _, s := range settings {
		value, origin := given.text(s, command), given.origin[s.name]
		if !given.has(s.name) {
			origin = "default"
			switch s.name {
			case "data-dir":
				value = c.DataDir
			case "keyring":
				value = c.Keyring
			}
		}
		if s.secret && value != "" {
			value = vault.Masked
		}
		if _, err := fmt.Fprintf(w, "%s: %s # %s\n", s.name, quoted(value), origin); err != nil {
			return err
		}
	}
	return nil
}

// quoted writes a text as a YAML scalar.
func quoted(text string) string {
	if text == "true" || text == "false" {
		return text
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(text) + `"`
}
