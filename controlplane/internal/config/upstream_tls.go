package config

import (
	"errors"
	"net/netip"
	"strings"
)

// UpstreamTLS is how TLS is spoken to backends with https and h2. Files are named as data planes find them. The zero value:
// the system's authorities, the URL's host, no certificate.
type UpstreamTLS struct {
	CAFile     string
	ServerName string
	CertFile   string // "" if and only if KeyFile is
	KeyFile    string
}

var upstreamTLSSettings = object[UpstreamTLS]{
	inherited("ca_file", "the system's", path(), func(t *UpstreamTLS) *string { return &t.CAFile },
		"PEM file on the data planes: authorities that backends are verified with"),
	inherited("server_name", "the URL's host", serverName(), func(t *UpstreamTLS) *string { return &t.ServerName },
		"name that the backend's certificate must have"),
	inherited("cert_file", "none", path(), func(t *UpstreamTLS) *string { return &t.CertFile },
		"PEM file on the data planes: certificate shown to backends"),
	inherited("key_file", "none", path(), func(t *UpstreamTLS) *string { return &t.KeyFile },
		"PEM file on the data planes: its private key"),
}

// upstreamTLS is nested with a look at what no setting can be wrong in alone.
func upstreamTLS() setting[Service] {
	s := nested("upstream_tls", upstreamTLSSettings, func(s *Service) *UpstreamTLS { return &s.UpstreamTLS })
	decode := s.decode
	s.decode = func(d *decoder, p *place, dst *Service) {
		decode(d, p, dst)
		t := &dst.UpstreamTLS
		switch {
		case t.CertFile != "" && t.KeyFile == "":
			d.mistake(p, "cert_file alone, got no key_file (want both or none)")
		case t.CertFile == "" && t.KeyFile != "":
			d.mistake(p, "key_file alone, got no cert_file (want both or none)")
		}
	}
	return s
}

// path is the name of a file on another machine.
func path() kind[string] {
	const most = 4096
	return kind[string]{"the name of a file", "a path of 1 to 4096 bytes", textTags, func(text string) (string, error) {
		if text == "" || len(text) > most {
			return "", errRange
		}
		return text, nil
	}}
}

// serverName is a name or address that a certificate may have.
func serverName() kind[string] {
	return kind[string]{"a server name", "a DNS name or an IP address", textTags, func(text string) (string, error) {
		if _, err := netip.ParseAddr(text); err == nil {
			return text, nil
		}
		if len(text) > 253 {
			return "", errors.New("too long")
		}
		for label := range strings.SplitSeq(text, ".") {
			if label == "" || len(label) > 63 || strings.ContainsFunc(label, noHostByte) {
				return "", errForm
			}
		}
		return text, nil
	}}
}

func noHostByte(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
