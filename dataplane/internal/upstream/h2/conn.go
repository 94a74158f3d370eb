package h2

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// What a connection is made with.
const (
	// streamWindow is how much of a response may wait here for a client that does not read. The connection's window is left
	// at net/http's 1 GiB: clients share the connection, and those that do not read must not use up what others need.
	streamWindow = 256 << 10

	maxFrame     = 16 << 10 // bytes of a frame that is read
	maxTable     = 4 << 10  // bytes of HPACK's table
	maxResponses = 64 << 10 // bytes of a response's head

	// pingAfter is when a connection that is silent is asked whether it still stands. gRPC servers close connections that
	// ping more than twice within 5 minutes.
	pingAfter   = 6 * time.Minute
	pingTimeout = 15 * time.Second
)

// Conn is a connection to a backend.
type Conn struct {
	host *host
	link *link
	cc   *http.ClientConn

	used    atomic.Bool
	retired atomic.Bool
}

// dial makes a connection and waits for the backend's SETTINGS.
func dial(ctx context.Context, h *host, s Settings) (*Conn, error) {
	c := &Conn{host: h}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true) // as TLS is spoken by connect
	transport := &http.Transport{
		DialContext:            c.connector(s),
		Protocols:              protocols,
		DisableCompression:     true,
		IdleConnTimeout:        s.IdleTimeout,
		MaxResponseHeaderBytes: maxResponses,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream: streamWindow, MaxReadFrameSize: maxFrame,
			MaxDecoderHeaderTableSize: maxTable, MaxEncoderHeaderTableSize: maxTable,
			SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: s.WriteTimeout,
		},
	}
	cc, err := transport.NewClientConn(ctx, "http", h.addr)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, errClosed
	case err != nil:
		return nil, err
	}
	c.cc = cc
	timer := time.NewTimer(s.ConnectTimeout)
	defer timer.Stop()
	select {
	case <-c.link.settled:
		err = c.link.unsettled
	case <-timer.C:
		err = silentError{h.addr}
	case <-ctx.Done():
		err = errClosed
	}
	if err != nil {
		_ = cc.Close()
		return nil, err
	}
	return c, nil
}

// silentError is a backend that takes the connection and says nothing.
type silentError struct{ addr string }

func (e silentError) Error() string { return fmt.Sprintf("%s: no HTTP/2 SETTINGS in time", e.addr) }

// Timeout is part of net.Error's contract.
func (silentError) Timeout() bool { return true }

// RoundTrip sends a request on the stream that was reserved. It repeats nothing.
func (c *Conn) RoundTrip(r *http.Request) (*http.Response, error) { return c.cc.RoundTrip(r) }

// Use notes that the connection carries a request from now on, and reports whether it has carried one before.
func (c *Conn) Use() (reused bool) { return c.used.Swap(true) }

// SilentSince reports whether nothing has come from the backend since then.
func (c *Conn) SilentSince(t time.Time) bool { return c.link.read.Load() < t.UnixNano() }

// Retire keeps requests to come off a connection that may be dead. Those on it go on; it is closed once it is idle.
func (c *Conn) Retire() { c.retired.Store(true) }

// stateChanged is told when a stream has ended, when more are allowed and when the connection has ended. It may be called
// by any call of cc.
func (c *Conn) stateChanged(cc *http.ClientConn) {
	if cc.Err() != nil {
		c.host.remove(c)
		return
	}
	c.host.wake()
}
