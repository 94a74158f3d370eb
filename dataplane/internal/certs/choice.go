package certs

import (
	"crypto/tls"
	"strings"
)

// choice finds certificates by the server name that a client sends (RFC 6066 section 3). It never changes.
type choice struct {
	first *tls.Certificate
	exact map[string][]*tls.Certificate
	wild  map[string][]*tls.Certificate // by what stands behind "*."
}

func newChoice(pairs []*watched[tls.Certificate]) *choice {
	c := &choice{exact: make(map[string][]*tls.Certificate), wild: make(map[string][]*tls.Certificate)}
	for _, p := range pairs {
		cert := p.good // a copy, which no later change of the files touches
		if c.first == nil {
			c.first = &cert
		}
		for _, name := range cert.Leaf.DNSNames {
			name = strings.ToLower(name)
			if parent, ok := strings.CutPrefix(name, "*."); ok {
				c.wild[parent] = append(c.wild[parent], &cert)
			} else {
				c.exact[name] = append(c.exact[name], &cert)
			}
		}
	}
	return c
}

// certificate is part of tls.Config.
func (c *choice) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	candidates := c.exact[name]
	if len(candidates) == 0 {
		_, parent, _ := strings.Cut(name, ".")
		candidates = c.wild[parent]
	}
	for _, cert := range candidates {
		if hello.SupportsCertificate(cert) == nil {
			return cert, nil
		}
	}
	if len(candidates) > 0 {
		return candidates[0], nil // its handshake says why not
	}
	return c.first, nil
}
