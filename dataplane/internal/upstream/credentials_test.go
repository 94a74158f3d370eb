package upstream

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"apigateway/dataplane/internal/exchange"
	"apigateway/proto/mtls"
	"apigateway/proto/mtls/mtlstest"
)

// certificates writes a certificate of an authority of its own and returns its files.
func certificates(t *testing.T) mtls.Files {
	t.Helper()
	files := mtlstest.Files(t)
	mtlstest.New(t, "backends").Write(t, files, time.Hour)
	return files
}

func newMetrics(t *testing.T) *Metrics {
	t.Helper()
	m, err := NewMetrics(prometheus.NewPedanticRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestFilesOfTLS(t *testing.T) {
	files, others := certificates(t), certificates(t)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	mtlstest.Put(t, empty, nil)
	tests := []struct {
		name  string
		files TLSFiles
		want  []string // in the error; none: the files are good
	}{
		{"nothing", TLSFiles{}, nil},
		{"a name alone", TLSFiles{ServerName: "a"}, nil},
		{"everything", TLSFiles{CAFile: files.CA, CertFile: files.Cert, KeyFile: files.Key}, nil},
		{"no authorities", TLSFiles{CAFile: "/no/ca.pem"}, []string{"upstream_tls.ca_file: ", "/no/ca.pem", "no such file"}},
		{"authorities that are none", TLSFiles{CAFile: empty}, []string{"upstream_tls.ca_file: ", empty, "no certificate"}},
		{"no certificate", TLSFiles{CertFile: "/no/cert.pem", KeyFile: files.Key}, []string{"upstream_tls.cert_file: ", "/no/cert.pem"}},
		{"no key", TLSFiles{CertFile: files.Cert, KeyFile: "/no/key.pem"}, []string{"upstream_tls.key_file: ", "/no/key.pem"}},
		{"another's key", TLSFiles{CertFile: files.Cert, KeyFile: others.Key}, []string{files.Cert, others.Key, "does not match"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NewCredentials(nil, newMetrics(t))
			defer c.Close()
			_, err := c.get(tt.files)
			if (err != nil) != (len(tt.want) > 0) {
				t.Fatalf("get = %v, want an error: %v", err, len(tt.want) > 0)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("get = %v, want %q in it", err, part)
				}
			}
		})
	}
}

// TestFilesChange: what changes counts from the next look on, what becomes unusable does not, and the log is told once.
func TestFilesChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files, next := certificates(t), certificates(t)
		var log strings.Builder
		c := NewCredentials(slog.New(slog.NewTextHandler(&log, nil)), newMetrics(t))
		defer c.Close()
		known, err := c.get(TLSFiles{CAFile: files.CA, CertFile: files.Cert, KeyFile: files.Key})
		if err != nil {
			t.Fatal(err)
		}
		look := func() *tls.Config {
			time.Sleep(rereadEvery) // the bubble's clock
			synctest.Wait()
			return known.config()
		}
		first := known.config()
		if look() != first {
			t.Error("files that are the same made another configuration")
		}
		copyFile(t, files.Key, next.Key)
		for range 2 {
			if look() != first {
				t.Error("a key that does not match was taken")
			}
		}
		if got := strings.Count(log.String(), "unusable"); got != 1 {
			t.Errorf("the log was told %d times, want once:\n%s", got, log.String())
		}
		if got := testutil.ToFloat64(c.failed); got != 1 {
			t.Errorf("failures counted = %v, want 1", got)
		}
		copyFile(t, files.Cert, next.Cert)
		if look() == first {
			t.Error("files that have changed were not taken")
		}
		if again, err := c.get(known.files); err != nil || again != known {
			t.Errorf("get = %v, %v; want what is known", again, err)
		}
	})
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	mtlstest.Put(t, to, content)
}

// secureBackend answers over TLS with the protocol it was asked in and the number of certificates it was shown.
func secureBackend(t *testing.T, files mtls.Files, clients tls.ClientAuthType) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto+strings.Repeat(" certificate", len(r.TLS.PeerCertificates)))
	}))
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: clients, MinVersion: tls.VersionTLS12}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func newEngines() closer { return NewEngines(TransportSettings{}) }

// TestBackendsOverTLS: both engines verify backends and show certificates as the service says.
func TestBackendsOverTLS(t *testing.T) {
	files, others := certificates(t), certificates(t)
	anybody, known := secureBackend(t, files, tls.NoClientCert), secureBackend(t, files, tls.RequireAnyClientCert)
	authority := TLSFiles{CAFile: files.CA}
	wrongName := TLSFiles{CAFile: files.CA, ServerName: "elsewhere.example"}
	shown := TLSFiles{CAFile: files.CA, CertFile: others.Cert, KeyFile: others.Key}
	tests := []struct {
		name    string
		backend *httptest.Server
		scheme  string
		tls     TLSFiles
		status  int
		body    string
	}{
		{"https", anybody, "https", authority, 200, "HTTP/1.1"},
		{"h2", anybody, "h2", authority, 200, "HTTP/2.0"},
		{"https, the system's authorities", anybody, "https", TLSFiles{}, 502, ""},
		{"h2, the system's authorities", anybody, "h2", TLSFiles{}, 502, ""},
		{"https, another authority", anybody, "https", TLSFiles{CAFile: others.CA}, 502, ""},
		{"h2, another authority", anybody, "h2", TLSFiles{CAFile: others.CA}, 502, ""},
		{"https, another name", anybody, "https", wrongName, 502, ""},
		{"h2, another name", anybody, "h2", wrongName, 502, ""},
		{"https, certificate shown", known, "https", shown, 200, "HTTP/1.1 certificate"},
		{"h2, certificate shown", known, "h2", shown, 200, "HTTP/2.0 certificate"},
		{"https, no certificate", known, "https", authority, 502, ""},
		{"h2, no certificate", known, "h2", authority, 502, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url := strings.Replace(tt.backend.URL, "https", tt.scheme, 1)
			g := newGateway(t, newEngines, Settings{URLs: []string{url}, TLS: tt.tls})
			if status, body := g.get(t); status != tt.status || status == 200 && body != tt.body {
				t.Errorf("answer = %d %q, want %d %q; outcome %v", status, body, tt.status, tt.body, g.exchange(t).Outcome.Err)
			}
		})
	}
}

// TestTLSOfOneService: connections are not shared by services that trust others, and a change of the settings or of what
// the files hold counts for the next connection.
func TestTLSOfOneService(t *testing.T) {
	for _, scheme := range []string{"https", "h2"} {
		t.Run(scheme, func(t *testing.T) {
			files, others := certificates(t), certificates(t)
			url := strings.Replace(secureBackend(t, files, tls.NoClientCert).URL, "https", scheme, 1)
			good := Settings{URLs: []string{url}, TLS: TLSFiles{CAFile: files.CA}, FailureThreshold: 1, ResetTimeout: time.Nanosecond}
			bad := good
			bad.TLS.CAFile = others.CA
			g := newGateway(t, newEngines, good)
			ask := func(c *Cluster, s Settings) int {
				h, err := c.Handler(s)
				if err != nil {
					t.Fatal(err)
				}
				c.Update(s)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(exchange.New(t.Context())))
				return w.Code
			}
			other := NewCluster("other", g.cluster.deps)
			if got := [...]int{ask(g.cluster, good), ask(other, bad), ask(g.cluster, bad), ask(g.cluster, good)}; got != [...]int{200, 502, 502, 200} {
				t.Errorf("answers = %v, want 200 with the right authority, 502 with the other", got)
			}
			copyFile(t, files.CA, others.CA)
			if got := ask(g.cluster, good); got != 502 { // built anew, so that the file is read
				t.Errorf("answer after the file changed = %d, want 502", got)
			}
		})
	}
}
