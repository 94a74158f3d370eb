package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// boundAddress is the public address once it is bound.
type boundAddress struct{ text atomic.Pointer[string] }

func (a *boundAddress) set(l net.Listener) {
	if l != nil {
		text := l.Addr().String()
		if addr, err := netip.ParseAddrPort(text); err == nil && addr.Addr().IsUnspecified() {
			text = fmt.Sprintf(":%d", addr.Port()) // on every address
		}
		a.text.Store(&text)
	}
}

func (a *boundAddress) get() string {
	if text := a.text.Load(); text != nil {
		return *text
	}
	return ""
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

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
