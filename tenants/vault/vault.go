package vault

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Vault seals what is stored. Safe for concurrent use.
type Vault struct {
	aead tink.AEAD
}

// Open reads the keyring (a tink keyset in JSON) at path. When the file is
// missing it makes one with a fresh AES-256-GCM key, readable by its owner
// only; two programs that start at once agree on one. A keyring that others
// can read is refused: whoever reads it reads every secret.
//
// Losing the file loses every sealed value, so it belongs in the backup, apart
// from the database's.
func Open(path string) (*Vault, error) {
	handle, err := load(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("create keyring %s: %w", path, err)
		}
		handle, err = load(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open keyring %s: %w", path, err)
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("open keyring %s: %w", path, err)
	}
	return &Vault{aead: primitive}, nil
}

func load(path string) (*keyset.Handle, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("permissions are %04o, must be 0600: others can read it", mode)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		// The cause may repeat what it read.
		return nil, errors.New("not a tink keyset in JSON")
	}
	return handle, nil
}

// create writes a new keyring beside path and links it into place, so that no
// reader ever sees half of one and the first of several creators wins.
func create(path string) error {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".keyring-*") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(text.Bytes())
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a new name in dir survive a crash of the machine: a keyring
// that vanishes takes all secrets with it.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Seal encrypts plaintext for one context, such as "settings:<project id>".
// The context is not stored in the result but must be the same to unseal it:
// a sealed value can't be moved to another owner's row.
func (v *Vault) Seal(plaintext []byte, context string) ([]byte, error) {
	if context == "" {
		return nil, errors.New("vault: seal without a context")
	}
	return v.aead.Encrypt(plaintext, []byte(context))
}

// Unseal decrypts what Seal made for the same context.
func (v *Vault) Unseal(ciphertext []byte, context string) ([]byte, error) {
	plaintext, err := v.aead.Decrypt(ciphertext, []byte(context))
	if err != nil {
		return nil, fmt.Errorf("vault: can't unseal %s: wrong keyring or changed data", context)
	}
	return plaintext, nil
}

// Hash returns the SHA-256 of a credential, by which it is recognised and
// looked up. Plain SHA-256 is enough because Token's secrets can't be guessed;
// it is not for passwords that people choose.
func Hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// Token makes a credential with 256 bits of randomness, such as
// "tk_3q2-7wEjv…", and its readable beginning, by which people tell keys apart.
func Token(prefix string) (secret Secret, readable string) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails, by its documentation
	text := prefix + base64.RawURLEncoding.EncodeToString(random[:])
	return NewSecret(text), text[:len(prefix)+4]
}
