package http2

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// What a connection may have of each, see HTTP.md.
const (
	maxStreams   = 100
	streamWindow = 64 << 10
	connWindow   = 1 << 20
	maxFrame     = 16 << 10
	maxHead      = 64 << 10 // twice what package wire lets in, so that wire is the one that answers

	prefaceTimeout = 10 * time.Second // of a client in cleartext, whose first line was read
	pingAfter      = 30 * time.Second // without a frame
	pingTimeout    = 15 * time.Second // for the answer
)

// conn is a client's connection, with a net/http server of its own: so GOAWAY can be sent on it alone, and its settings are those of when it
// came.
type conn struct {
	s        *Server
	nc       net.Conn
	set      Settings
	peer     netip.Addr
	secure   bool
	server   http.Server
	taken    atomic.Bool // by net/http
	leaving  atomic.Bool // GOAWAY is to be sent
	requests atomic.Int64
	ended    chan struct{} // closed once net/http has ended
	end      sync.Once

	mu     sync.Mutex
	active int           // handlers
	over   bool          // ended, no handler begins
	quiet  chan struct{} // closed once over and none is active
}

func (s *Server) newConn(nc net.Conn) *conn {
	c := &conn{s: s, nc: nc, set: s.settings(), ended: make(chan struct{}), quiet: make(chan struct{})}
	_, c.secure = nc.(*tls.Conn)
	if addr, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		c.peer = addr.Addr().Unmap()
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(c.secure)
	protocols.SetUnencryptedHTTP2(!c.secure)
	c.server = http.Server{
		Handler:                      c,
		Protocols:                    protocols,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            prefaceTimeout,
		IdleTimeout:                  c.set.IdleTimeout,
		MaxHeaderBytes:               maxHead,
		ConnState:                    c.state,
		ErrorLog:                     slog.NewLogLogger(s.log().Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReceiveBufferPerStream:     streamWindow,
			MaxReceiveBufferPerConnection: connWindow,
			MaxReadFrameSize:              maxFrame,
			SendPingTimeout:               pingAfter,
			PingTimeout:                   pingTimeout,
			WriteByteTimeout:              c.set.WriteTimeout,
		},
	}
	return c
}

func (c *conn) serve() {
	age := time.AfterFunc(c.set.MaxAge, c.leave)
	defer age.Stop()
	l := &only{conn: c, closed: make(chan struct{})}
	_ = c.server.Serve(l) // it always says that the listener was closed
	<-c.ended
	c.mu.Lock()
	c.over = true
	c.quietLocked()
	c.mu.Unlock()
	<-c.quiet
}

// state is told how net/http sees the connection. It knows of a shutdown only from when it has read the preface on.
func (c *conn) state(_ net.Conn, now http.ConnState) {
	switch {
	case now == http.StateClosed:
		c.end.Do(func() { close(c.ended) })
	case now == http.StateActive && c.leaving.Load():
		c.leave()
	}
}

// past is a context that has ended.
var past = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// leave sends GOAWAY: the client begins nothing new, and the connection ends with the last stream. It may be called again.
func (c *conn) leave() {
	c.leaving.Store(true)
	if c.taken.Load() { // else net/http would not take it any more: state comes back to it
		_ = c.server.Shutdown(past) // sends, and would wait
	}
}

// cut ends the connection. TLS would take leave and wait for a client that does not read.
func (c *conn) cut() {
	if secure, ok := c.nc.(*tls.Conn); ok {
		_ = secure.NetConn().Close() // it may be closed already
		return
	}
	_ = c.nc.Close() // likewise
}

// begin counts a request, false if the connection has ended.
func (c *conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false
	}
	c.active++
	c.s.busy.Add(1)
	return true
}

func (c *conn) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active--
	c.s.busy.Add(-1)
	c.quietLocked()
}

func (c *conn) quietLocked() {
	if c.over && c.active == 0 {
		close(c.quiet)
	}
}

// only is a listener for one connection.
type only struct {
	conn   *conn
	closed chan struct{}
	once   sync.Once
}

// Accept is part of net.Listener.
func (l *only) Accept() (net.Conn, error) {
	if l.conn.taken.CompareAndSwap(false, true) {
		return l.conn.nc, nil
	}
	select {
	case <-l.closed:
	case <-l.conn.ended:
	}
	return nil, net.ErrClosed
}

// Close is part of net.Listener.
func (l *only) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is part of net.Listener.
func (l *only) Addr() net.Addr { return l.conn.nc.LocalAddr() }
