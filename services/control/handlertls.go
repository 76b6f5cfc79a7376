package control

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"time"

	"tenantry/policy/authz"
	"tenantry/tenants/settings"
	"tenantry/tenants/vault"
)

type certificateView struct {
	Subject  string    `json:"subject"`
	Issuer   string    `json:"issuer"`
	NotAfter time.Time `json:"not_after"`
	SHA256   string    `json:"sha256" doc:"Fingerprint."`
}

type handlerTLSView struct {
	CA          []certificateView `json:"ca" nullable:"false" doc:"Authorities that count beside those of the web."`
	Certificate []certificateView `json:"certificate" nullable:"false" doc:"What handlers are shown: the certificate itself, then its chain. The key is never given back."`
}

type handlerTLSOutput struct {
	ETag string `header:"ETag"`
	Body handlerTLSView
}

func (s *service) registerHandlerTLS() {
	tag, path := "Actions", "/projects/{project}/handler-tls"
	register(s, endpoint{id: "getHandlerTLS", method: http.MethodGet, path: path, class: authz.ClassRead, tag: tag,
		summary: "Authorities and client certificate of calls to handlers"}, s.getHandlerTLS)
	register(s, endpoint{id: "putHandlerTLS", method: http.MethodPut, path: path, class: authz.ClassSecrets, tag: tag,
		summary: "Set authorities and client certificate of calls to handlers; what is left out is none"}, s.putHandlerTLS)
	register(s, endpoint{id: "deleteHandlerTLS", method: http.MethodDelete, path: path, class: authz.ClassSecrets, tag: tag,
		status: http.StatusNoContent, summary: "Call handlers as the web trusts, without a certificate"}, s.deleteHandlerTLS)
}

func showHandlerTLS(h settings.HandlerTLS, version int64) (*handlerTLSOutput, error) {
	view := func(list []*x509.Certificate) []certificateView {
		out := []certificateView{}
		for _, one := range list {
			sum := sha256.Sum256(one.Raw)
			out = append(out, certificateView{one.Subject.String(), one.Issuer.String(), one.NotAfter.UTC(), hex.EncodeToString(sum[:])})
		}
		return out
	}
	authorities, err := h.Authorities()
	if err != nil {
		return nil, err
	}
	chain, err := h.Chain()
	return &handlerTLSOutput{ETag: tag(version), Body: handlerTLSView{CA: view(authorities), Certificate: view(chain)}}, err
}

func (s *service) getHandlerTLS(ctx context.Context, c *call, _ *ProjectPath) (*handlerTLSOutput, error) {
	set, version, err := s.Store.Settings(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	return showHandlerTLS(set.HandlerTLS, version)
}

type putHandlerTLSInput struct {
	ProjectPath
	Precondition
	Body struct {
		CA          string       `json:"ca,omitempty" maxLength:"65536" doc:"PEM certificates of authorities."`
		Certificate string       `json:"certificate,omitempty" maxLength:"65536" doc:"PEM: the client certificate, then its chain."`
		Key         vault.Secret `json:"key,omitzero" required:"false" maxLength:"65536" format:"password" writeOnly:"true" doc:"PEM: the certificate's key, without a password."`
	}
}

func (s *service) putHandlerTLS(ctx context.Context, c *call, in *putHandlerTLSInput) (*handlerTLSOutput, error) {
	h := settings.HandlerTLS{CA: in.Body.CA, Certificate: in.Body.Certificate, Key: in.Body.Key}
	if err := h.Check(s.Now()); err != nil {
		return nil, settingsProblem(err)
	}
	o, err := s.changeSettings(ctx, c, in.IfMatch, "handler_tls.put", c.in("handler-tls"), func(set *settings.Settings) error {
		set.HandlerTLS = h
		return nil
	})
	if err != nil {
		return nil, err
	}
	return showHandlerTLS(o.Settings.HandlerTLS, o.SettingsVersion)
}

func (s *service) deleteHandlerTLS(ctx context.Context, c *call, _ *ProjectPath) (*empty, error) {
	_, err := s.changeSettings(ctx, c, "", "handler_tls.delete", c.in("handler-tls"), func(set *settings.Settings) error {
		if set.HandlerTLS.IsZero() {
			return errNotFound
		}
		set.HandlerTLS = settings.HandlerTLS{}
		return nil
	})
	return nil, err
}
