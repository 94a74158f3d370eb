package http1

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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
		HTTP2: func(nc net.Conn) { http2 <- nc.(*tls.Conn).ConnectionState().NegotiatedProtocol },
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
	plain := dial(t, l.Addr().String())
	if _, err := io.WriteString(plain, simple); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(plain); statuses(string(got)) != "" { // crypto/tls answers with an alert
		t.Errorf("answer %q to a request without TLS, want none", got)
	}
}
