// Package mtls is how the programs know each other on gRPC: mutual TLS with certificates of one authority. Each program is given
// three files in PEM: its certificate (with intermediates), its key, and the authorities whose certificates it believes. A server
// requires a certificate of its clients; a client verifies the server's certificate for the name that it dialled. TLS 1.2 is the least.
//
// What a certificate says beside that does not matter: every program with one of these authorities may make every call.
//
// The files are read at each handshake, and a change of their content counts from that handshake on; connections that are open stay.
// New content that is no good is logged once, and what was good before goes on. So a renewed certificate needs no restart, and the three
// files need not change at the same moment.
//
// Everything is safe for concurrent use.
package mtls

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// Files are paths of files in PEM. The zero value means plain text.
type Files struct {
	Cert string // the program's certificate, then its intermediates
	Key  string // its private key
	CA   string // certificates of the authorities that are believed
}

// Given reports whether any file is named.
func (f Files) Given() bool { return f != Files{} }

// Check reports files that are missing beside those that are named, by the names of their flags.
func (f Files) Check() error {
	var missing []string
	for _, file := range [...]struct{ flag, path string }{{"--tls-cert", f.Cert}, {"--tls-key", f.Key}, {"--tls-ca", f.CA}} {
		if file.path == "" {
			missing = append(missing, file.flag)
		}
	}
	if len(missing) == 0 || !f.Given() {
		return nil
	}
	return fmt.Errorf("--tls-cert, --tls-key, --tls-ca: got no %s (want all three, or none for plaintext)", strings.Join(missing, " and no "))
}

// source makes what the files hold into settings, anew when their content changed.
type source struct {
	files  Files
	log    *slog.Logger
	config func(tls.Certificate, *x509.CertPool) *tls.Config

	mu    sync.Mutex
	good  *tls.Config
	seen  [3][]byte // content that good was made of, or newer one that was no good
	wrong string    // the last reason why files could not be read
}

// open reads the files for the first time.
func open(files Files, log *slog.Logger, config func(tls.Certificate, *x509.CertPool) *tls.Config) (*source, error) {
	if err := files.Check(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &source{files: files, log: log, config: config}
	content, err := s.read()
	if err != nil {
		return nil, err
	}
	s.seen = content
	s.good, err = s.parse(content, time.Now())
	return s, err
}

// current returns settings by what the files hold now; if that is no good, by what they held before.
func (s *source) current() *tls.Config {
	content, err := s.read()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if s.wrong != err.Error() {
			s.log.Error("TLS files cannot be read, the earlier ones stay in force", "err", err)
		}
		s.wrong = err.Error()
		return s.good
	}
	s.wrong = ""
	if equal(content, s.seen) {
		return s.good
	}
	s.seen = content
	next, err := s.parse(content, time.Now())
	if err != nil {
		s.log.Warn("TLS files changed and are no good, the earlier ones stay in force", "err", err)
		return s.good
	}
	s.good = next
	s.log.Info("TLS files changed", "cert", s.files.Cert, "until", next.Certificates[0].Leaf.NotAfter)
	return s.good
}

func equal(a, b [3][]byte) bool {
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func (s *source) read() (content [3][]byte, err error) {
	for i, file := range [...]struct{ flag, path string }{{"--tls-cert", s.files.Cert}, {"--tls-key", s.files.Key}, {"--tls-ca", s.files.CA}} {
		if content[i], err = os.ReadFile(file.path); err != nil {
			return content, fmt.Errorf("%s: %w", file.flag, err)
		}
	}
	return content, nil
}

func (s *source) parse(content [3][]byte, now time.Time) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(content[0], content[1])
	if err != nil {
		return nil, fmt.Errorf("--tls-cert %s, --tls-key %s: %w", s.files.Cert, s.files.Key, err)
	}
	if end := pair.Leaf.NotAfter; now.After(end) {
		return nil, fmt.Errorf("--tls-cert %s: expired at %s", s.files.Cert, end.UTC().Format(time.RFC3339))
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(content[2]) {
		return nil, fmt.Errorf("--tls-ca %s: got no certificate (want at least one in PEM)", s.files.CA)
	}
	return s.config(pair, authorities), nil
}
