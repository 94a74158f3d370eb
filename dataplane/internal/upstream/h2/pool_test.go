package h2

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func settings() Settings {
	return Settings{IdleTimeout: time.Minute, ConnectTimeout: 10 * time.Second, TLSHandshakeTimeout: 10 * time.Second, WriteTimeout: time.Minute}
}

func newTestPool(t *testing.T, s Settings) *Pool {
	t.Helper()
	p := NewPool(s)
	t.Cleanup(p.Close)
	return p
}

// backend starts a server that answers with the protocol it was asked in.
func backend(t *testing.T, secure bool, limit int) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	s.Config.Protocols = new(http.Protocols)
	s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: limit}
	if secure {
		s.Config.Protocols.SetHTTP2(true)
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// trusting is TLS as a client of s speaks it.
func trusting(s *httptest.Server) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

func addressOf(s *httptest.Server) string { return s.Listener.Addr().String() }

func get(t *testing.T, c *Conn) string {
	t.Helper()
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: "a", Path: "/"}, Header: http.Header{}, Host: "a"}
	resp, err := c.RoundTrip(r.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestConnectionsAreSharedUpToTheLimit(t *testing.T) {
	s := backend(t, false, 3)
	p, to := newTestPool(t, settings()), Target{Host: addressOf(s)}
	slot := new(Slot)
	var conns []*Conn
	for range 7 {
		c, err := p.Reserve(t.Context(), slot, to)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	if got := p.Len(); got != 3 {
		t.Errorf("connections for 7 streams = %d, want 3 of 3 streams each", got)
	}
	conns[0].cc.Release()
	c, err := p.Reserve(t.Context(), nil, to)
	if err != nil || c != conns[0] {
		t.Errorf("Reserve after Release = another connection, %v; want the one that has room", err)
	}
	if reused := c.Use(); reused {
		t.Error("Use of a connection that carried nothing says that it did")
	}
	if got := get(t, c); got != "HTTP/2.0" {
		t.Errorf("answer = %q, want HTTP/2.0", got)
	}
	if reused := c.Use(); !reused {
		t.Error("second Use says that the connection carried nothing")
	}
}

// TestManyAtOnce: who comes together waits for one connection, not each for its own.
func TestManyAtOnce(t *testing.T) {
	s := backend(t, false, 100)
	p := newTestPool(t, settings())
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if _, err := p.Reserve(t.Context(), nil, Target{Host: addressOf(s)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := p.Len(); got != 1 {
		t.Errorf("connections = %d, want 1", got)
	}
}

func TestTLS(t *testing.T) {
	s := backend(t, true, 100)
	p, config := newTestPool(t, settings()), trusting(s)
	config.ServerName = "example.com" // as in the test certificate
	conns := map[*Conn]bool{}
	for _, to := range []Target{
		{Secure: true, Host: addressOf(s), Config: config},
		{Secure: true, Host: addressOf(s), Config: config},
		{Secure: true, Host: addressOf(s), Config: trusting(s)}, // another one, though it says the same
	} {
		c, err := p.Reserve(t.Context(), new(Slot), to)
		if err != nil {
			t.Fatal(err)
		}
		conns[c] = true
	}
	if len(conns) != 2 {
		t.Errorf("connections = %d, want one for each TLS configuration", len(conns))
	}
}

// handshakes speaks TLS, and no protocol over it.
func handshakes(t *testing.T, certificate tls.Certificate) (address string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr().String()
}

func TestNoConnection(t *testing.T) {
	plain, secure := backend(t, false, 1), backend(t, true, 1)
	noALPN := handshakes(t, secure.TLS.Certificates[0])
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	one := httptest.NewServer(nil)
	t.Cleanup(one.Close)
	gone, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("client gone"))
	tests := []struct {
		name    string
		ctx     context.Context
		to      Target
		want    string
		timeout bool
	}{
		{"unknown authority", t.Context(), Target{Secure: true, Host: addressOf(secure)}, "certificate signed by unknown authority", false},
		{"no ALPN", t.Context(), Target{Secure: true, Host: noALPN, Config: trusting(secure)}, `negotiated "" (want h2)`, false},
		{"no TLS", t.Context(), Target{Secure: true, Host: addressOf(plain)}, "TLS handshake with ", false},
		{"says nothing", t.Context(), Target{Host: silent.Addr().String()}, "no HTTP/2 SETTINGS in time", true},
		{"HTTP/1.1", t.Context(), Target{Host: addressOf(one)}, "HTTP/2", false},
		{"client gone", gone, Target{Host: silent.Addr().String()}, "client gone", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := settings()
			s.ConnectTimeout = 100 * time.Millisecond
			p := newTestPool(t, s)
			_, err := p.Reserve(tt.ctx, nil, tt.to)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Reserve = %v, want %s", err, tt.want)
			}
			var timed interface{ Timeout() bool }
			if got := errors.As(err, &timed) && timed.Timeout(); got != tt.timeout {
				t.Errorf("%v is a timeout: %v, want %v", err, got, tt.timeout)
			}
			p.Close()
			if len(p.hosts) > 0 {
				t.Errorf("hosts that are left: %d", len(p.hosts))
			}
		})
	}
}

// TestHostsAreForgotten: of a backend to which there is no connection nothing is left.
func TestHostsAreForgotten(t *testing.T) {
	s := backend(t, false, 100)
	p, slot := newTestPool(t, settings()), new(Slot)
	c, err := p.Reserve(t.Context(), slot, Target{Host: addressOf(s)})
	if err != nil {
		t.Fatal(err)
	}
	get(t, c)
	before := slot.host.Load()
	_ = c.cc.Close()
	if p.Len() != 0 || len(p.hosts) != 0 || !before.gone.Load() {
		t.Errorf("connections, hosts = %d, %d; want none", p.Len(), len(p.hosts))
	}
	if _, err := p.Reserve(t.Context(), slot, Target{Host: addressOf(s)}); err != nil || slot.host.Load() == before {
		t.Errorf("Reserve = %v, want a host made anew", err)
	}
}

func TestRetiredConnectionGetsNothing(t *testing.T) {
	s := backend(t, false, 100)
	p, to := newTestPool(t, settings()), Target{Host: addressOf(s)}
	first, err := p.Reserve(t.Context(), nil, to)
	if err != nil {
		t.Fatal(err)
	}
	if before := time.Now(); !first.SilentSince(before) || first.SilentSince(before.Add(-time.Hour)) {
		t.Error("SilentSince is not about when something last came")
	}
	first.Retire()
	if second, err := p.Reserve(t.Context(), nil, to); err != nil || second == first {
		t.Errorf("Reserve = the retired connection, %v; want another", err)
	}
}

// TestClose: whoever waits is told, and nothing is made afterwards.
func TestClose(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, to := NewPool(settings()), Target{Host: l.Addr().String()}
	failed := make(chan error)
	go func() {
		_, err := p.Reserve(t.Context(), nil, to)
		failed <- err
	}()
	conn, err := l.Accept() // the connect is under way
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p.Close()
	if err := <-failed; !errors.Is(err, errClosed) {
		t.Errorf("Reserve during Close = %v, want %v", err, errClosed)
	}
	if _, err := p.Reserve(t.Context(), nil, to); !errors.Is(err, errClosed) {
		t.Errorf("Reserve after Close = %v, want %v", err, errClosed)
	}
}
