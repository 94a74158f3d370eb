// Package compile turns a configuration into the entries that data planes are sent: one for the settings and one for each
// service in the config part, one for each key of the file in the keys part. Package publish takes them from here.
//
// It is pure: the same Config gives the same bytes, on every machine, so that a restart with an unchanged file publishes
// nothing. Safe for concurrent use.
package compile

import (
	"cmp"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/config"
	"apigateway/proto/apikey"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// Entries are the content of a file, each part in order of kind and id.
type Entries struct {
	Config []*gatewayv1.Entry // the settings, then the services
	Keys   []*gatewayv1.Entry // the keys of the file; those of the store are beside them
}

// Compile returns the entries of c. The error is that of an entry that cannot be encoded, which no Config from
// config.Parse has.
func Compile(c *config.Config) (Entries, error) {
	var out Entries
	out.Config = make([]*gatewayv1.Entry, 0, 1+len(c.Services))
	out.Keys = make([]*gatewayv1.Entry, 0, len(c.Keys))
	e, err := entry(gatewayv1.Kind_KIND_SETTINGS, "", settings(c))
	if err != nil {
		return Entries{}, err
	}
	out.Config = append(out.Config, e)
	for i := range c.Services {
		e, err := entry(gatewayv1.Kind_KIND_SERVICE, c.Services[i].Name, service(&c.Services[i]))
		if err != nil {
			return Entries{}, err
		}
		out.Config = append(out.Config, e)
	}
	for i := range c.Keys {
		e, err := entry(gatewayv1.Kind_KIND_KEY, c.Keys[i].Name, key(&c.Keys[i]))
		if err != nil {
			return Entries{}, err
		}
		out.Keys = append(out.Keys, e)
	}
	slices.SortFunc(out.Config, byKindAndID)
	slices.SortFunc(out.Keys, byKindAndID)
	return out, nil
}

func byKindAndID(a, b *gatewayv1.Entry) int {
	return cmp.Or(cmp.Compare(a.GetKind(), b.GetKind()), cmp.Compare(a.GetId(), b.GetId()))
}

func entry(kind gatewayv1.Kind, id string, m proto.Message) (*gatewayv1.Entry, error) {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("%v %q: %w", kind, id, err)
	}
	return &gatewayv1.Entry{Kind: kind, Id: id, Value: value}, nil
}

func settings(c *config.Config) *gatewayv1.Settings {
	t, l := &c.Transport, &c.Listener
	s := &gatewayv1.Settings{
		Port:                  c.Port,
		PassUnderscoreHeaders: c.PassUnderscoreHeaders,
		Transport: &gatewayv1.Transport{
			MaxIdle:               t.MaxIdle,
			MaxIdlePerHost:        t.MaxIdlePerHost,
			IdleTimeoutMs:         t.IdleTimeout.Milliseconds(),
			ConnectTimeoutMs:      t.ConnectTimeout.Milliseconds(),
			TlsHandshakeTimeoutMs: t.TLSHandshakeTimeout.Milliseconds(),
			FirstByteTimeoutMs:    t.FirstByteTimeout.Milliseconds(),
			ReadTimeoutMs:         t.ReadTimeout.Milliseconds(),
		},
		Listener: &gatewayv1.Listener{
			HeadTimeoutMs:  l.HeadTimeout.Milliseconds(),
			BodyTimeoutMs:  l.BodyTimeout.Milliseconds(),
			IdleTimeoutMs:  l.IdleTimeout.Milliseconds(),
			MaxRequests:    l.MaxRequests,
			MaxAgeMs:       l.MaxAge.Milliseconds(),
			MaxConnections: l.MaxConnections,
		},
		MaxBuckets: c.Limits.RateLimitBuckets,
		ForwardKey: c.ForwardKey,
	}
	if c.TLS != nil {
		s.Tls = publicTLS(c.TLS)
	}
	for _, p := range c.TrustedProxies {
		s.TrustedProxies = append(s.TrustedProxies, p.String())
	}
	for _, m := range c.Middleware {
		s.MiddlewareConfigs = append(s.MiddlewareConfigs, &gatewayv1.MiddlewareConfig{Name: m.Name, Json: m.JSON})
	}
	return s
}

func publicTLS(t *config.TLS) *gatewayv1.Tls {
	out := &gatewayv1.Tls{ClientCaFile: t.ClientCAFile, RequireClientCertificate: t.RequireClientCertificate}
	for _, c := range t.Certificates {
		out.Certificates = append(out.Certificates, &gatewayv1.Certificate{CertFile: c.CertFile, KeyFile: c.KeyFile})
	}
	return out
}

func service(s *config.Service) *gatewayv1.Service {
	return &gatewayv1.Service{
		UpstreamTls:         upstreamTLS(&s.UpstreamTLS),
		RoutePattern:        s.RoutePattern,
		Urls:                s.URLs,
		Middleware:          s.Middleware,
		RateLimitRps:        s.RateLimitRPS,
		RateLimitBurst:      s.RateLimitBurst,
		CbFailureThreshold:  s.CBFailureThreshold,
		CbResetTimeoutMs:    s.CBResetTimeout.Milliseconds(),
		MaxBody:             s.MaxBody,
		FirstByteTimeoutMs:  s.FirstByteTimeout.Milliseconds(),
		StreamIdleTimeoutMs: s.StreamIdleTimeout.Milliseconds(),
		TimeoutMs:           s.Timeout.Milliseconds(),
		UpstreamHost:        s.UpstreamHost,
		RefuseWebsocket:     !s.WebSocket,
		RefuseEncodedSlash:  s.RefuseEncodedSlash,
	}
}

// upstreamTLS is nil for the default, which data planes know that know no such field.
func upstreamTLS(t *config.UpstreamTLS) *gatewayv1.UpstreamTls {
	if *t == (config.UpstreamTLS{}) {
		return nil
	}
	return &gatewayv1.UpstreamTls{CaFile: t.CAFile, ServerName: t.ServerName, CertFile: t.CertFile, KeyFile: t.KeyFile}
}

// key has no time of creation: the file gives none, and the same file has to give the same bytes.
func key(k *config.Key) *gatewayv1.Key {
	secret := &gatewayv1.Secret{Sha256: k.Hash[:]}
	if k.SecretID != apikey.HashID(k.Hash) { // which is what an empty one means
		secret.Id = k.SecretID
	}
	return &gatewayv1.Key{Source: gatewayv1.KeySource_KEY_SOURCE_FILE, Secrets: []*gatewayv1.Secret{secret}}
}
