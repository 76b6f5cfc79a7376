package authn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"tenantry/tenants/vault"
)

var (
	hmacMethods = []string{"HS256", "HS384", "HS512"}
	rsaMethods  = []string{"RS256", "RS384", "RS512"}
	// asymmetric is what a key set may hold. A shared secret is none of it: the
	// set is public.
	asymmetric = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)

var errPublicSecret = errors.New("key: a public key is no shared secret: everybody could sign with it")

var errKeyForm = errors.New("key: expected a PEM public key or X.509 certificate")

// parseKey makes the verification key of a type, with the algorithms that may
// use it: those of its family, so that a public key is never taken for a shared
// secret.
func parseKey(typ string, key vault.Secret) (any, []string, error) {
	text := key.Reveal()
	if text == "" {
		return nil, nil, errors.New("key: expected a key, or a jwk_url")
	}
	switch typ {
	case "HS256", "HS384", "HS512":
		if _, err := parsePublic(text); err == nil {
			return nil, nil, errPublicSecret
		}
		return []byte(text), hmacMethods, nil
	case "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "Ed25519":
	default:
		return nil, nil, fmt.Errorf("type: expected one of HS256, HS384, HS512, RS256, RS384, RS512, ES256, ES384, ES512, Ed25519, got %q", typ)
	}
	public, err := parsePublic(text)
	if err != nil {
		return nil, nil, err
	}
	switch k := public.(type) {
	case *rsa.PublicKey:
		if strings.HasPrefix(typ, "RS") {
			return k, rsaMethods, nil
		}
	case *ecdsa.PublicKey:
		curves := map[string]int{"ES256": 256, "ES384": 384, "ES512": 521}
		if curves[typ] == k.Curve.Params().BitSize {
			return k, []string{typ}, nil
		}
	case ed25519.PublicKey:
		if typ == "Ed25519" {
			return k, []string{"EdDSA"}, nil
		}
	}
	return nil, nil, fmt.Errorf("key: the key does not belong to type %s", typ)
}

func parsePublic(text string) (crypto.PublicKey, error) {
	if !strings.Contains(text, "\n") { // as it comes out of many a .env file
		text = strings.ReplaceAll(text, `\n`, "\n")
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errKeyForm
	}
	switch block.Type {
	case "CERTIFICATE":
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			return c.PublicKey, nil
		}
	case "RSA PUBLIC KEY":
		if k, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
			return k, nil
		}
	case "PUBLIC KEY":
		if k, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
			return k, nil
		}
	}
	return nil, errKeyForm
}
