package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// authority issues certificates.
type authority struct {
	parsed      *x509.Certificate
	key         *ecdsa.PrivateKey
	certificate string // PEM
}

func newAuthority(name string) authority {
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a := authority{key: newKey()}
	a.parsed = a.signed(template, a.key, template)
	a.certificate = textOf(a.parsed)
	return a
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func (a authority) signed(template *x509.Certificate, key *ecdsa.PrivateKey, parent *x509.Certificate) *x509.Certificate {
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore = time.Now().Add(-2 * time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	if err != nil {
		panic(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return parsed
}

// issue makes a certificate for a name and for this machine, and its key, as PEM.
func (a authority) issue(name string, changes ...func(*x509.Certificate)) (certificate, key string) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, change := range changes {
		change(template)
	}
	private := newKey()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		panic(err)
	}
	return textOf(a.signed(template, private, a.parsed)), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func textOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

// overTLS is a handler whose certificate an authority of its tenant's has issued.
// With callers it lets in only who shows a certificate of theirs.
func overTLS(t testing.TB, a authority, callers *authority, handle http.HandlerFunc) string {
	t.Helper()
	certificate, key := a.issue("handler")
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(handle)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	if callers != nil {
		s.TLS.ClientCAs = x509.NewCertPool()
		s.TLS.ClientCAs.AddCert(callers.parsed)
		s.TLS.ClientAuth = tls.RequireAndVerifyClientCert
	}
	s.StartTLS()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

func TestHandlersOfATenantsOwnAuthorityAreReachedWithItsCertificate(t *testing.T) {
	t.Parallel()
	p := newProject(t, shared(t), managed)
	p.library()
	own, stranger := newAuthority("own"), newAuthority("stranger")
	var shown atomic.Value
	handle := func(w http.ResponseWriter, r *http.Request) {
		name := ""
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		shown.Store(name)
		_, _ = w.Write([]byte(`{"id":1}`))
	}
	p.action("guarded", overTLS(t, own, &own, handle), nil)
	p.action("open", overTLS(t, own, nil, handle), nil)
	p.action("foreign", overTLS(t, stranger, nil, handle), nil)
	call := func(name string) any {
		t.Helper()
		a := p.ask(p.as("reader"), `{ `+name+` { id } }`)
		if code := a.at("errors", 0, "extensions", "code"); code != nil {
			if strings.Contains(a.Text, "x509") || strings.Contains(a.Text, "certificate") {
				t.Errorf("a client sees %s", a.Text)
			}
			return code
		}
		return a.at("data", name, "id")
	}
	expect := func(when string, want map[string]any) {
		t.Helper()
		for name, result := range want {
			if got := call(name); got != result {
				t.Errorf("%s: %s gives %v, expected %v", when, name, got, result)
			}
		}
	}
	const away = "action-unreachable"
	expect("as the web trusts", map[string]any{"guarded": away, "open": away, "foreign": away})
	if shown.Load() != nil {
		t.Error("a handler without a certificate that counts was called")
	}
	p.control(200, http.MethodPut, "/handler-tls", map[string]any{"ca": own.certificate})
	expect("with the authority", map[string]any{"guarded": away, "open": 1.0, "foreign": away})
	certificate, key := own.issue("tenantry for this tenant")
	set := p.control(200, http.MethodPut, "/handler-tls", map[string]any{"ca": own.certificate, "certificate": certificate, "key": key})
	expect("with the certificate", map[string]any{"guarded": 1.0, "foreign": away})
	if shown.Load() != "tenantry for this tenant" {
		t.Errorf("the handler saw %v", shown.Load())
	}
	if set.at("certificate", 0, "subject") != "CN=tenantry for this tenant" || set.at("ca", 0, "subject") != "CN=own" || strings.Contains(set.Text, "PRIVATE") {
		t.Errorf("%s", set.Text)
	}
	strangers, theirs := stranger.issue("stranger")
	p.control(200, http.MethodPut, "/handler-tls", map[string]any{"ca": own.certificate + stranger.certificate, "certificate": strangers, "key": theirs})
	expect("with a certificate of someone else", map[string]any{"guarded": away, "open": 1.0, "foreign": 1.0})

	// What belongs to one project is not used for another.
	other := newProject(t, p.s, managed)
	other.library()
	other.action("open", overTLS(t, own, nil, handle), nil)
	if a := other.ask(other.as("reader"), `{ open { id } }`); a.at("errors", 0, "extensions", "code") != away {
		t.Errorf("another project: %s", a.Text)
	}

	old, oldKey := own.issue("old", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	leaf, _ := own.issue("no authority")
	for name, c := range map[string]struct {
		body    map[string]any
		pointer string
	}{
		"nothing":              {map[string]any{}, ""},
		"no PEM":               {map[string]any{"ca": "hello"}, "/ca"},
		"a list cut off":       {map[string]any{"ca": own.certificate + stranger.certificate[:300]}, "/ca"},
		"no authority":         {map[string]any{"ca": leaf}, "/ca"},
		"a key for a list":     {map[string]any{"ca": key}, "/ca"},
		"no key":               {map[string]any{"certificate": certificate}, "/key"},
		"a key alone":          {map[string]any{"key": key}, "/key"},
		"another's key":        {map[string]any{"certificate": certificate, "key": theirs}, "/key"},
		"one that has ended":   {map[string]any{"certificate": old, "key": oldKey}, "/certificate"},
		"a key as certificate": {map[string]any{"certificate": key, "key": key}, "/certificate"},
	} {
		a := send(t, http.MethodPut, p.s.PublicURL+"/api/v1/projects/"+p.Slug+"/handler-tls", p.owner, c.body)
		if a.Status != http.StatusUnprocessableEntity || fmt.Sprint(a.at("errors", 0, "pointer")) != c.pointer && c.pointer != "" {
			t.Errorf("%s: %d %s", name, a.Status, a.Text)
		}
	}
	p.control(204, http.MethodDelete, "/handler-tls", nil)
	expect("as the web trusts again", map[string]any{"guarded": away, "open": away, "foreign": away})
}
