package program

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"tenantry/tenants/vault"
)

// operatorKeyPrefix begins generated operator keys.
const operatorKeyPrefix = "op_"

// keepOperatorKey reads the operator's key from a file that only its owner can
// read, or makes both. The caller holds the data folder.
func keepOperatorKey(path string) (vault.Secret, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		if key := strings.TrimSpace(string(text)); key != "" {
			return vault.NewSecret(key), nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return vault.Secret{}, fmt.Errorf("the operator key cannot be read: %w", err)
	}
	key, _ := vault.Token(operatorKeyPrefix)
	// Written aside and moved into place: a crash leaves no half of a key.
	aside := path + ".new"
	if err := os.WriteFile(aside, []byte(key.Reveal()+"\n"), 0o600); err != nil {
		return vault.Secret{}, fmt.Errorf("the operator key cannot be kept: %w", err)
	}
	if err := os.Rename(aside, path); err != nil {
		return vault.Secret{}, fmt.Errorf("the operator key cannot be kept: %w", err)
	}
	return key, nil
}
