package mtls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// Server returns what a gRPC server needs to serve with files. They must be good now. A nil log is none.
func Server(files Files, log *slog.Logger) (credentials.TransportCredentials, error) {
	s, err := open(files, log, func(own tls.Certificate, authorities *x509.CertPool) *tls.Config {
		return &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authorities,
		}
	})
	if err != nil {
		return nil, err
	}
	return &peer{source: s}, nil
}

// Client returns what a gRPC client needs to dial with files. They must be good now. A nil log is none.
func Client(files Files, log *slog.Logger) (credentials.TransportCredentials, error) {
	s, err := open(files, log, func(own tls.Certificate, authorities *x509.CertPool) *tls.Config {
		return &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}, RootCAs: authorities,
			// One that the server will not believe is sent all the same: its refusal says more than that there was none.
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil },
		}
	})
	if err != nil {
		return nil, err
	}
	return &peer{source: s}, nil
}

// peer is either side.
type peer struct {
	source *source

	mu     sync.Mutex
	second int64 // of the last failure that was logged
	told   int   // failures that were logged in it
}

// Clone implements credentials.TransportCredentials.
func (p *peer) Clone() credentials.TransportCredentials { return &peer{source: p.source} }

// Info implements credentials.TransportCredentials.
func (p *peer) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// OverrideServerName does nothing: the name that is verified is the one that was dialled.
func (p *peer) OverrideServerName(string) error { return nil }

// ClientHandshake implements credentials.TransportCredentials.
func (p *peer) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := credentials.NewTLS(p.source.current()).ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, err
	}
	return &refusable{conn}, info, nil
}

// refusable is a client's connection. With TLS 1.3 a server refuses a certificate after the handshake, and closes: whether the client's
// next write or its next read meets that is chance.
type refusable struct{ net.Conn }

// heedWithin bounds the look for a refusal, which was sent before the connection was closed.
const heedWithin = 100 * time.Millisecond

// Write fails with what the server said, if it said why it closed.
func (c *refusable) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err == nil {
		return n, nil
	}
	_ = c.SetReadDeadline(time.Now().Add(heedWithin)) // it is of no more use
	_, why := c.Read(make([]byte, 1))
	if said, ok := errors.AsType[*net.OpError](why); ok && said.Op == "remote error" {
		return n, why
	}
	return n, err
}

// maxTold is how many failures of one second are logged: strangers cause them.
const maxTold = 10

// ServerHandshake logs why it failed, which gRPC does not.
func (p *peer) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := credentials.NewTLS(p.source.current()).ServerHandshake(raw)
	if err == nil {
		return conn, info, nil
	}
	if p.mayTell(time.Now().Unix()) {
		p.source.log.Warn("gRPC connection refused", "peer", raw.RemoteAddr().String(), "err", err)
	}
	return nil, nil, err
}

func (p *peer) mayTell(second int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if second != p.second {
		p.second, p.told = second, 0
	}
	p.told++
	return p.told <= maxTold
}
