package control

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// connectionTimeout bounds the handshake of a new gRPC connection.
const connectionTimeout = 10 * time.Second

// listeners are bound before anything starts, so that a taken port ends the start at once.
type listeners struct{ grpc, http net.Listener }

func listen(opts Options) (*listeners, error) {
	if !opts.Insecure && !loopback(opts.GRPC) {
		return nil, fmt.Errorf("--grpc: got %s, which is not loopback (want a loopback address, or --insecure for plaintext on a network you trust)", opts.GRPC)
	}
	grpc, err := bind("--grpc", opts.GRPC)
	if err != nil {
		return nil, err
	}
	http, err := bind("--http", opts.HTTP)
	if err != nil {
		return nil, errors.Join(err, grpc.Close())
	}
	return &listeners{grpc: grpc, http: http}, nil
}

func bind(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: %s is taken by another process (want a free address)", flag, address)
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return l, nil
}

// loopback reports whether an address can be reached from this machine only. A name counts if it is localhost.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
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
