package mtls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"sync/atomic"
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
	told   atomic.Int64 // unix seconds of the last failure that was logged
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
	return credentials.NewTLS(p.source.current()).ClientHandshake(ctx, authority, raw)
}

// ServerHandshake logs why it failed, which gRPC does not; at most once a second, since strangers may cause it.
func (p *peer) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := credentials.NewTLS(p.source.current()).ServerHandshake(raw)
	if err == nil {
		return conn, info, nil
	}
	if now, last := time.Now().Unix(), p.told.Load(); now != last && p.told.CompareAndSwap(last, now) {
		p.source.log.Warn("gRPC connection refused", "peer", raw.RemoteAddr().String(), "err", err)
	}
	return nil, nil, err
}
