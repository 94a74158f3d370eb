package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"apigateway/proto/mtls"
)

// credentials are those that the flags ask for. What becomes of TLS is noted in d.
func (a *app) credentials(d *dialed) (credentials.TransportCredentials, error) {
	if !a.tls.Given() {
		return insecure.NewCredentials(), nil
	}
	creds, err := mtls.Client(a.tls, a.log)
	if err != nil {
		return nil, err
	}
	return &noting{creds, d}, nil
}

// noting remembers why TLS failed. gRPC only tells it inside a longer text.
type noting struct {
	credentials.TransportCredentials
	dialed *dialed
}

// Clone implements credentials.TransportCredentials.
func (n *noting) Clone() credentials.TransportCredentials {
	return &noting{n.TransportCredentials.Clone(), n.dialed}
}

// ClientHandshake implements credentials.TransportCredentials.
func (n *noting) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := n.TransportCredentials.ClientHandshake(ctx, authority, raw)
	n.dialed.noteTLS(err)
	if err != nil {
		return nil, nil, err
	}
	return &notingConn{conn, n.dialed}, info, nil
}

// notingConn is a connection on which the server may still refuse the client's certificate: with TLS 1.3 that comes after the handshake.
type notingConn struct {
	net.Conn
	dialed *dialed
}

func (c *notingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.note(err)
	return n, err
}

func (c *notingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.note(err)
	return n, err
}

func (c *notingConn) note(err error) {
	if said, ok := errors.AsType[*net.OpError](err); ok && said.Op == "remote error" {
		c.dialed.noteTLS(err)
	}
}

func (d *dialed) noteTLS(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tls = err
}

// tlsProblem is why TLS failed, nil if it did not.
func (d *dialed) tlsProblem() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tls
}

// tlsReason is why TLS failed, and whose files to look at.
func tlsReason(err error) string {
	said, remote := errors.AsType[*net.OpError](err)
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case remote && said.Op == "remote error":
		return fmt.Sprintf("it refuses the certificate of --tls-cert: %v", said.Err)
	case unverified:
		return fmt.Sprintf("its certificate is not believed: %v (--tls-ca has the authorities that are)", err)
	case plain:
		return "it speaks no TLS; was it started without --tls-cert?"
	default:
		return err.Error()
	}
}
