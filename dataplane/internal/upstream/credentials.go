package upstream

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/prometheus/client_golang/prometheus"
)

// rereadEvery is how often files of TLS settings are read to see whether they have changed.
const rereadEvery = 5 * time.Second

// TLSFiles say how TLS is spoken to a service's backends. The zero value: the system's authorities, the URL's host, no
// certificate of our own.
type TLSFiles struct {
	CAFile     string // PEM, authorities that backends are verified with; "": the system's
	ServerName string // that the backend's certificate must have, and SNI; "": the URL's host
	CertFile   string // PEM, certificate shown to backends, the leaf first; "": none
	KeyFile    string // PEM, its private key; "" if and only if CertFile is
}

// Credentials are the TLS settings of all services, as their files say. Files are read when they are first asked for, and
// again every 5 s: new connections are made with what they say now. Files that have become unusable are told once in the
// log, counted, and what they said before stays in force. Close it.
type Credentials struct {
	log    *slog.Logger
	failed prometheus.Counter

	mu     sync.Mutex
	known  map[TLSFiles]weak.Pointer[credential] // of backends that nobody serves any more there is nothing left
	timer  *time.Timer                           // of the next look; nil: none was asked for
	closed bool
}

// credential is what one set of files says.
type credential struct {
	files   TLSFiles
	current atomic.Pointer[tls.Config] // never changes once it is here

	sum    [sha256.Size]byte // of the contents that current was made from
	failed string            // what the log was last told; "": the files are good
}

// NewCredentials returns credentials that nothing is known of. log may be nil: slog.Default().
func NewCredentials(log *slog.Logger, m *Metrics) *Credentials {
	if log == nil {
		log = slog.Default()
	}
	return &Credentials{log: log, failed: m.credentials, known: make(map[TLSFiles]weak.Pointer[credential])}
}

// Close ends the looks. What was given out stays.
func (c *Credentials) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
}

// get returns what files say. They are read, also if they are known: a configuration is only good if its files are.
func (c *Credentials) get(files TLSFiles) (*credential, error) {
	if files == (TLSFiles{}) {
		return nil, nil //nolint:nilnil // the default, which has no files
	}
	config, sum, err := files.read()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.known[files].Value()
	if known == nil {
		known = &credential{files: files}
		c.known[files] = weak.Make(known)
	}
	known.take(config, sum)
	if c.timer == nil && !c.closed {
		c.timer = time.AfterFunc(rereadEvery, c.look)
	}
	return known, nil
}

// config returns the TLS settings in force. k may be nil: the default ones.
func (k *credential) config() *tls.Config {
	if k == nil {
		return nil
	}
	return k.current.Load()
}

// take puts what was read in force, if it is something new. Credentials.mu is held.
func (k *credential) take(config *tls.Config, sum [sha256.Size]byte) (changed bool) {
	k.failed = ""
	if k.current.Load() != nil && k.sum == sum {
		return false
	}
	k.sum = sum
	k.current.Store(config)
	return true
}

// look reads all files again.
func (c *Credentials) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for files, ref := range c.known {
		known := ref.Value()
		if known == nil {
			delete(c.known, files)
			continue
		}
		c.reread(known)
	}
	if !c.closed {
		c.timer.Reset(rereadEvery)
	}
}

func (c *Credentials) reread(known *credential) {
	config, sum, err := known.files.read()
	switch {
	case err == nil && known.take(config, sum):
		c.log.Info("TLS files of backends changed, new connections use them", "ca_file", known.files.CAFile, "cert_file", known.files.CertFile)
	case err != nil && known.failed != err.Error():
		known.failed = err.Error()
		c.failed.Inc()
		c.log.Error("TLS files of backends unusable, still using what they said before", "err", err)
	}
}

// read makes TLS settings of what the files say now.
func (f *TLSFiles) read() (config *tls.Config, sum [sha256.Size]byte, err error) {
	config = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.ServerName}
	hash := sha256.New()
	if f.CAFile != "" {
		pem, err := os.ReadFile(f.CAFile)
		if err != nil {
			return nil, sum, fmt.Errorf("upstream_tls.ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, sum, fmt.Errorf("upstream_tls.ca_file: no certificate in %s (want PEM)", f.CAFile)
		}
		fmt.Fprintf(hash, "%d:%s", len(pem), pem)
	}
	if f.CertFile == "" && f.KeyFile == "" {
		return config, [sha256.Size]byte(hash.Sum(nil)), nil
	}
	certificate, err := os.ReadFile(f.CertFile)
	if err != nil {
		return nil, sum, fmt.Errorf("upstream_tls.cert_file: %w", err)
	}
	key, err := os.ReadFile(f.KeyFile)
	if err != nil {
		return nil, sum, fmt.Errorf("upstream_tls.key_file: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, sum, fmt.Errorf("upstream_tls: %s with %s: %w", f.CertFile, f.KeyFile, err)
	}
	config.Certificates = []tls.Certificate{pair}
	fmt.Fprintf(hash, "%d:%s%s", len(certificate), certificate, key)
	return config, [sha256.Size]byte(hash.Sum(nil)), nil
}
