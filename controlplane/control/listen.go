package control

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"apigateway/controlplane/internal/store"
	"apigateway/proto/mtls"
)

// connectionTimeout bounds the handshake of a new gRPC connection.
const connectionTimeout = 10 * time.Second

// listeners are bound before anything starts, so that a taken port ends the start at once.
type listeners struct {
	grpc, http net.Listener
	options    []grpc.ServerOption // of what is served on grpc
}

// Validate reports options that Run refuses whatever the machine is like.
func (o Options) Validate() error {
	host, err := hostOf("--grpc", o.GRPC)
	if err != nil {
		return err
	}
	if _, err := hostOf("--http", o.HTTP); err != nil {
		return err
	}
	if err := store.CheckURL(o.Store, stores); err != nil {
		return fmt.Errorf("--store: %w", err)
	}
	if err := o.TLS.Check(); err != nil {
		return err
	}
	switch {
	case o.TLS.Given() && o.Insecure:
		return errors.New("--insecure: got it beside --tls-cert (want one of them)")
	case !o.TLS.Given() && !o.Insecure && !loopback(host):
		return fmt.Errorf("--grpc: got %s, which is not loopback (want a loopback address, mutual TLS by --tls-cert, or --insecure for plaintext on a network you trust)", o.GRPC)
	}
	return nil
}

// hostOf returns the host of an address to listen on. An empty address would listen on every interface, and an empty port on any.
func hostOf(flag, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return "", fmt.Errorf("%s: not an address, got %q (want host:port)", flag, address)
	}
	return host, nil
}

func listen(opts Options) (*listeners, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	l := &listeners{options: []grpc.ServerOption{grpc.ConnectionTimeout(connectionTimeout)}}
	if opts.TLS.Given() {
		creds, err := mtls.Server(opts.TLS, opts.Log)
		if err != nil {
			return nil, err
		}
		l.options = append(l.options, grpc.Creds(creds))
	}
	var err error
	if l.grpc, err = bind("--grpc", opts.GRPC); err != nil {
		return nil, err
	}
	if l.http, err = bind("--http", opts.HTTP); err != nil {
		return nil, errors.Join(err, l.grpc.Close())
	}
	return l, nil
}

func bind(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: address in use by another process, got %s (want a free one)", flag, address)
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return l, nil
}

// loopback reports whether a host can be reached from this machine only. A name counts if it is localhost.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// close ends what the servers have not ended already.
func (l *listeners) close() {
	_ = l.grpc.Close() // an error means that it is closed
	_ = l.http.Close()
}
