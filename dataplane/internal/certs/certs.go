// Package certs keeps what the public port needs to speak TLS: certificates with their keys, chosen by server name, and the authorities of
// client certificates, all from files in PEM that may change at any time. The snapshot opens a Set for its settings, the listener takes its
// configuration, and the proxy has it look at its files every few seconds; this package has no goroutine, no clock and no log.
//
// A client gets the certificate that has its server name, one that has it exactly before one with a wildcard, and of several the first that it
// supports. The first certificate of all answers a name that none has, and clients that send none. TLS 1.2 is the least; all else is the
// library's default, among it session tickets whose keys change by themselves: tickets outlive a change of the files, but not one of the
// settings. A resumed session's client certificate is verified again.
//
// Files are known by their content, not by their times: a Kubernetes volume swaps links, and an editor may write what was there before. A
// certificate whose new files are missing, do not match or have expired keeps the old ones. Connections that are open are not touched.
//
// A Set is safe for concurrent use.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// MaxPairs bounds the certificates of a Set.
const MaxPairs = 1000

// Files are the files of a Set. Relative paths start at the process's working directory.
type Files struct {
	Pairs         []Pair // 1 to MaxPairs; no two with the same Cert
	ClientCA      string // authorities of client certificates; "": none are asked for
	RequireClient bool   // refuse clients without a certificate; needs ClientCA
}

// Pair is a certificate, its intermediates behind it, and its private key.
type Pair struct{ Cert, Key string }

// Equal reports whether two Files name the same.
func (f Files) Equal(g Files) bool {
	return f.ClientCA == g.ClientCA && f.RequireClient == g.RequireClient && slices.Equal(f.Pairs, g.Pairs)
}

func (f Files) check() error {
	if n := len(f.Pairs); n == 0 || n > MaxPairs {
		return fmt.Errorf("certificates: got %d (want 1 to %d)", n, MaxPairs)
	}
	if f.RequireClient && f.ClientCA == "" {
		return errors.New("require_client_certificate: got no client_ca_file (want one)")
	}
	seen := make(map[string]bool, len(f.Pairs))
	for _, p := range f.Pairs {
		if seen[p.Cert] {
			return fmt.Errorf("cert_file %s: stands twice (want each once)", p.Cert)
		}
		seen[p.Cert] = true
	}
	return nil
}

// Set is the certificates of one configuration.
type Set struct {
	files   Files
	outer   *tls.Config
	current atomic.Pointer[tls.Config]

	mu      sync.Mutex // held while files are looked at
	pairs   []*watched[tls.Certificate]
	clients *watched[*x509.CertPool] // nil: no client certificates
}

// Open reads files for the first time. All of them have to be good, but that a certificate may have expired: a restart must not make that
// worse. The error names file and problem.
func Open(files Files) (*Set, error) {
	if err := files.check(); err != nil {
		return nil, err
	}
	s := &Set{files: files}
	for _, p := range files.Pairs {
		s.pairs = append(s.pairs, watch(pairOf, named{"cert_file", p.Cert}, named{"key_file", p.Key}))
	}
	if files.ClientCA != "" {
		s.clients = watch(authoritiesOf, named{"client_ca_file", files.ClientCA})
	}
	if _, errs := s.lookLocked(func(tls.Certificate) error { return nil }); len(errs) > 0 { // nobody else has s yet
		return nil, errs[0]
	}
	s.current.Store(s.configLocked())
	s.outer = &tls.Config{
		MinVersion: tls.VersionTLS12, // what a connection that fails early says it wants
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return s.current.Load(), nil
		},
	}
	return s, nil
}

// Files returns what the Set was opened with.
func (s *Set) Files() Files { return s.files }

// Config returns what to serve connections with, always the same. It must not be copied: it holds the keys of session tickets.
func (s *Set) Config() *tls.Config { return s.outer }

// Refresh looks whether files have changed, and serves what is good of them from the next handshake on. It returns each problem once, until
// the files are others again. One that keeps failing to be read is told once.
func (s *Set) Refresh(now time.Time) (changed bool, errs []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, errs = s.lookLocked(func(c tls.Certificate) error {
		if end := c.Leaf.NotAfter; now.After(end) {
			return fmt.Errorf("expired at %s", end.UTC().Format(time.RFC3339))
		}
		return nil
	})
	if changed {
		s.current.Store(s.configLocked())
	}
	return changed, errs
}

// lookLocked reads the files. Certificates of which accept returns an error are no good.
func (s *Set) lookLocked(accept func(tls.Certificate) error) (changed bool, errs []error) {
	note := func(other bool, err error) {
		changed = changed || other
		if err != nil {
			errs = append(errs, err)
		}
	}
	for _, p := range s.pairs {
		note(p.look(accept))
	}
	if s.clients != nil {
		note(s.clients.look(func(*x509.CertPool) error { return nil }))
	}
	return changed, errs
}

func (s *Set) configLocked() *tls.Config {
	choice := newChoice(s.pairs)
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: choice.certificate}
	if s.clients != nil {
		c.ClientCAs, c.ClientAuth = s.clients.good, tls.VerifyClientCertIfGiven
		if s.files.RequireClient {
			c.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
	return c
}

// Expiry is when a certificate ends.
type Expiry struct {
	Cert string // as in Files
	At   time.Time
}

// Expiries returns that of each certificate that is served now, in the order of Files.
func (s *Set) Expiries() []Expiry {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Expiry, 0, len(s.pairs))
	for i, p := range s.pairs {
		list = append(list, Expiry{s.files.Pairs[i].Cert, p.good.Leaf.NotAfter})
	}
	return list
}
