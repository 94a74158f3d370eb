package http2

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"apigateway/dataplane/internal/http1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts s behind the engine that hands connections over, on a free port, and ends both with the test.
func serve(t *testing.T, s *Server, secure *tls.Config) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	engine := &http1.Server{Handler: s.Handler, HTTP2: s}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = engine.Serve(l) // ends by Close
	}()
	t.Cleanup(func() {
		engine.Close()
		if err := engine.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		<-served
	})
	return l.Addr().String()
}

// client returns a client that speaks HTTP/2 alone.
func client(t *testing.T, secure *tls.Config) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP2(secure != nil)
	protocols.SetUnencryptedHTTP2(secure == nil)
	transport := &http.Transport{Protocols: protocols, TLSClientConfig: secure, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// connect gives s a connection whose other end is a peer; ended is closed when s has done with it. For use in a bubble.
func connect(t *testing.T, s *Server) (p *peer, ended chan struct{}) {
	t.Helper()
	ours, theirs := net.Pipe()
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		s.ServeConn(theirs)
	}()
	return newPeer(t, ours), ended
}

// inBubble runs f with a connection to s whose time is the bubble's.
func inBubble(t *testing.T, s *Server, f func(p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, ended := connect(t, s)
		f(p)
		_ = p.nc.Close()
		<-ended
	})
}
