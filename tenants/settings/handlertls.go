package settings

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"time"

	"tenantry/tenants/vault"
)

// HandlerTLS is how a project's handlers are reached by TLS. The texts are PEM.
type HandlerTLS struct {
	// CA are certificates of authorities that count beside those of the web.
	CA string `json:"ca,omitempty"`
	// Certificate shows the handlers who calls: it and those up to its authority.
	Certificate string       `json:"certificate,omitempty"`
	Key         vault.Secret `json:"key,omitzero"` // of Certificate, without a password
}

// maxCertificates bounds each of the two lists.
const maxCertificates = 20

// IsZero reports whether nothing is set.
func (h HandlerTLS) IsZero() bool { return h.CA == "" && h.Certificate == "" && h.Key.IsZero() }

// Authorities are the certificates of CA, in order.
func (h HandlerTLS) Authorities() ([]*x509.Certificate, error) { return certificates(h.CA) }

// Chain are those of Certificate, its own first.
func (h HandlerTLS) Chain() ([]*x509.Certificate, error) { return certificates(h.Certificate) }

var errCertificates = errors.New("expected certificates as PEM, at most 20")

// certificates reads a list strictly: what is passed over here would be missed
// later. The error repeats nothing of the text, where a key may be by mistake.
func certificates(text string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil || block.Type != "CERTIFICATE" || len(out) == maxCertificates {
			return nil, errCertificates
		}
		out = append(out, one)
	}
	// One that is cut off or misspelt is passed over by the decoder.
	if strings.Count(text, "-----BEGIN ") != len(out) || len(out) == 0 && text != "" {
		return nil, errCertificates
	}
	return out, nil
}

// Config is the TLS configuration of connections to handlers.
func (h HandlerTLS) Config() (*tls.Config, error) {
	var m Mistakes
	if h.validate(&m, ""); m.err() != nil {
		return nil, m
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if authorities, _ := h.Authorities(); len(authorities) > 0 {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool() // a machine without any
		}
		for _, one := range authorities {
			roots.AddCert(one)
		}
		config.RootCAs = roots
	}
	if h.Certificate != "" {
		pair, err := tls.X509KeyPair([]byte(h.Certificate), []byte(h.Key.Reveal()))
		if err != nil {
			return nil, errPair
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

var errPair = errors.New("expected the key of the certificate, as PEM and without a password")

// validate checks what does not depend on the time.
func (h HandlerTLS) validate(m *Mistakes, pointer string) {
	authorities, err := h.Authorities()
	if err != nil {
		m.add(below(pointer, "ca"), "%s", err)
	}
	for _, one := range authorities {
		if !one.IsCA {
			m.add(below(pointer, "ca"), "expected certificates of authorities; %q is none", one.Subject.String())
		}
	}
	switch _, err := h.Chain(); {
	case err != nil:
		m.add(below(pointer, "certificate"), "%s", err)
	case (h.Certificate == "") != h.Key.IsZero():
		m.add(below(pointer, "key"), "expected together with certificate")
	case h.Certificate != "":
		if _, err := tls.X509KeyPair([]byte(h.Certificate), []byte(h.Key.Reveal())); err != nil {
			m.add(below(pointer, "key"), "%s", errPair)
		}
	}
}

// Check is what is wrong with a new configuration at a time; the error is
// Mistakes.
func (h HandlerTLS) Check(now time.Time) error {
	var m Mistakes
	h.validate(&m, "")
	for name, text := range map[string]string{"ca": h.CA, "certificate": h.Certificate} {
		list, _ := certificates(text)
		for _, one := range list {
			if now.After(one.NotAfter) {
				m.add(below("", name), "the certificate of %q ended at %s", one.Subject.String(), one.NotAfter.UTC().Format(time.RFC3339))
			}
		}
	}
	if h.IsZero() {
		m.add("", "expected ca, or certificate and key; DELETE removes all of them")
	}
	return m.err()
}
