package settings

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"tenantry/tenants/vault"
)

// jwtTypes are the algorithms that a key may be for.
var jwtTypes = []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "Ed25519"}

// minSecret is the least length of a shared secret in bytes (RFC 7518 §3.2): a
// shorter one can be found by trying.
var minSecret = map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}

// curveBits is the size of the curve of each ES algorithm.
var curveBits = map[string]int{"ES256": 256, "ES384": 384, "ES512": 521}

// checkKey says what is wrong with a key of a type; "" when nothing is.
func checkKey(typ, key string) string {
	if key == vault.Masked {
		return "the masked value was sent back; send the key itself"
	}
	if least := minSecret[typ]; least > 0 {
		if len(key) < least {
			return fmt.Sprintf("expected a secret of at least %d bytes for %s", least, typ)
		}
		if publicKey(key) != nil {
			return "a public key is no shared secret: everybody could sign with it"
		}
		return ""
	}
	fits := false
	switch public := publicKey(key).(type) {
	case nil:
		return "expected a public key or certificate in PEM"
	case *rsa.PublicKey:
		if public.N.BitLen() < 2048 {
			return "expected an RSA key of at least 2048 bits"
		}
		fits = strings.HasPrefix(typ, "RS")
	case *ecdsa.PublicKey:
		fits = curveBits[typ] == public.Curve.Params().BitSize
	case ed25519.PublicKey:
		fits = typ == "Ed25519"
	}
	if !fits {
		return "the key does not belong to " + typ
	}
	return ""
}

// publicKey reads a PEM public key or certificate; nil when it is neither.
func publicKey(text string) any {
	if !strings.Contains(text, "\n") { // as it comes out of many a .env file
		text = strings.ReplaceAll(text, `\n`, "\n")
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	if key, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
		return key
	}
	if key, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
		return key
	}
	if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
		return certificate.PublicKey
	}
	return nil
}
