package http1

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"apigateway/dataplane/internal/exchange"
)

// certificate returns a server's certificate for example.com and whom to trust for it.
func certificate(t *testing.T) (server tls.Certificate, roots *x509.CertPool) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.TLS.Certificates[0], roots
}

func TestTLS(t *testing.T) {
	cert, roots := certificate(t)
	http2 := make(chan string, 1)
	s := &Server{
		Handler: handler(func(_ http.ResponseWriter, r *http.Request) {
			if x := exchange.From(r.Context()); x.Scheme != "https" || r.TLS == nil || !r.TLS.HandshakeComplete {
				t.Errorf("scheme %q, TLS %v, want https and its state", x.Scheme, r.TLS)
			}
			if r.URL.Path != "/a" {
				t.Errorf("path %q, want /a", r.URL.Path)
			}
		}),
		HTTP2: givenAway(func(nc net.Conn) { http2 <- nc.(*tls.Conn).ConnectionState().NegotiatedProtocol }),
	}
	l := listen(t)
	serveOn(t, s, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}))
	config := func(protos ...string) *tls.Config {
		return &tls.Config{RootCAs: roots, ServerName: "example.com", NextProtos: protos}
	}
	nc, err := tls.Dial("tcp", l.Addr().String(), config("http/1.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	for _, last := range []string{"", "Connection: close\r\n"} {
		if _, err := io.WriteString(nc, "GET https://example.com/a HTTP/1.1\r\nHost: example.com\r\n"+last+"\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := io.ReadAll(nc); err != nil || statuses(string(got)) != "200 200" {
		t.Errorf("answers %q, %v, want two", got, err)
	}
	two, err := tls.Dial("tcp", l.Addr().String(), config("h2"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = two.Close() }()
	if proto := <-http2; proto != "h2" {
		t.Errorf("HTTP/2 was given %q, want h2", proto)
	}
}

// Whoever does not speak TLS where it is wanted is told if that is HTTP, and no other connection is touched.
func TestWithoutTLS(t *testing.T) {
	cert, _ := certificate(t)
	failed := make(chan error, 1)
	s := &Server{
		Handler:     handler(func(http.ResponseWriter, *http.Request) { t.Error("a request without TLS was let in") }),
		NoHandshake: func(_ string, err error) { failed <- err },
	}
	l := listen(t)
	serveOn(t, s, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}}))
	for _, test := range []struct{ name, sent, want string }{
		{"request", simple, "400"},
		{"two requests", simple + simple, "400"},
		{"malformed request", "GET /\r\n\r\n", "400"},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"},
		{"neither", "\x16\x03\x01\x00\x01\x00", ""},
		{"garbage", "\x00\x01\x02\x03\x04\x05", ""},
		{"nothing", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			nc := dial(t, l.Addr().String())
			if _, err := io.WriteString(nc, test.sent); err != nil {
				t.Fatal(err)
			}
			if err := nc.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(nc) // garbage may be answered by a reset
			if statuses(string(got)) != test.want {
				t.Errorf("answer %q, want statuses %q", got, test.want)
			}
			if test.want != "" && !strings.Contains(string(got), "This Port Speaks TLS\n") {
				t.Errorf("answer %q, want it to say why", got)
			}
			if err := <-failed; err == nil {
				t.Error("NoHandshake was told of no error")
			}
		})
	}
}

// An answer that lasts until the connection ends must not seem complete when its handler gave up: TLS has an end of its own, which says so.
func TestTLSBrokenAnswer(t *testing.T) {
	cert, roots := certificate(t)
	s := &Server{Handler: handler(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half of")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})}
	l := listen(t)
	serveOn(t, s, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}}))
	nc, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	if _, err := io.WriteString(nc, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(nc); err == nil {
		t.Errorf("answer %q with a clean end, want an error", got)
	}
}

// givenAway is an HTTP/2 server for connections that are looked at only.
type givenAway func(net.Conn)

func (f givenAway) ServeConn(nc net.Conn) { f(nc) }
func (givenAway) Drain()                  {}
func (givenAway) Shutdown()               {}
func (givenAway) Close() int              { return 0 }
func (givenAway) Busy() int               { return 0 }

// counted is an HTTP/2 server that notes what it is told.
type counted struct {
	givenAway
	told []string
}

func (c *counted) Drain()     { c.told = append(c.told, "drain") }
func (c *counted) Shutdown()  { c.told = append(c.told, "shutdown") }
func (c *counted) Close() int { c.told = append(c.told, "close"); return 3 }
func (c *counted) Busy() int  { return 2 }

// Connections of HTTP/2 count and end with the server that owns them.
func TestOwnsHTTP2(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	two := &counted{givenAway: func(net.Conn) {
		close(began)
		<-end
	}}
	s := &Server{Handler: http.NotFoundHandler(), HTTP2: two}
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	nc := dial(t, l.Addr().String())
	if _, err := io.WriteString(nc, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-began
	if open, busy := s.Count(); open != 1 || busy != 2 {
		t.Errorf("Count() = %d, %d, want one connection and its two requests", open, busy)
	}
	s.Drain()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s.Shutdown(ctx) == nil {
		t.Error("Shutdown did not wait for the connection")
	}
	if n := s.Close(); n != 3 {
		t.Errorf("Close() = %d, want the three requests that HTTP/2 cut", n)
	}
	close(end)
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown = %v once the connection has ended", err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	seen := make(map[string]bool)
	for _, what := range two.told {
		seen[what] = true
	}
	if !seen["drain"] || !seen["shutdown"] || !seen["close"] {
		t.Errorf("HTTP/2 was told %q, want drain, shutdown and close", two.told)
	}
}
