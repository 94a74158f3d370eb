package h2

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

const (
	frameHead     = 9 // bytes
	frameSettings = 4 // the type
)

// link is the bytes of a connection. It finds out when the backend's first frame, which has to be SETTINGS, has been dealt
// with by who reads: when more is read for the first time behind it.
type link struct {
	net.Conn
	settled   chan struct{} // closed once SETTINGS are in force, or cannot come
	unsettled error         // valid once settled: why they cannot come
	read      atomic.Int64  // when something last came, in nanoseconds since 1970

	done bool // settled is closed
	head [frameHead]byte
	got  int // bytes
	want int // bytes, the whole frame
}

func newLink(c net.Conn) *link {
	return &link{Conn: c, settled: make(chan struct{}), want: frameHead}
}

// Read is part of net.Conn. One goroutine calls it.
func (l *link) Read(p []byte) (int, error) {
	if !l.done && l.got >= l.want {
		l.settle(nil)
	}
	n, err := l.Conn.Read(p)
	if n > 0 {
		l.read.Store(time.Now().UnixNano())
		if !l.done {
			l.look(p[:n])
		}
	}
	if err != nil && !l.done {
		l.settle(fmt.Errorf("before HTTP/2 SETTINGS: %w", err))
	}
	return n, err
}

// look takes the first bytes of a connection.
func (l *link) look(p []byte) {
	if l.got < frameHead {
		n := copy(l.head[l.got:], p)
		if l.got+n >= frameHead {
			if l.head[3] != frameSettings {
				l.settle(fmt.Errorf("not HTTP/2, got %q (want SETTINGS)", l.head))
				return
			}
			l.want += int(binary.BigEndian.Uint32(l.head[:4]) >> 8)
		}
	}
	l.got += len(p)
}

func (l *link) settle(err error) {
	l.unsettled, l.done = err, true
	close(l.settled)
}

// connector returns what makes the connection that HTTP/2 is then spoken on.
func (c *Conn) connector(s Settings) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialer := net.Dialer{Timeout: s.ConnectTimeout}
		raw, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if config := c.host.tls; config != nil {
			secure := tls.Client(raw, config)
			if err := handshake(ctx, secure, s.TLSHandshakeTimeout); err != nil {
				_ = raw.Close()
				return nil, fmt.Errorf("TLS handshake with %s: %w", addr, err)
			}
			raw = secure
		}
		c.link = newLink(raw)
		return c.link, nil
	}
}

func handshake(ctx context.Context, c *tls.Conn, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	if p := c.ConnectionState().NegotiatedProtocol; p != "h2" {
		return fmt.Errorf("negotiated %q (want h2)", p)
	}
	return nil
}
