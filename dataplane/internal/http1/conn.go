package http1

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/wire"
)

// conn is a client's connection. Its own goroutine runs serve and whatever that calls.
type conn struct {
	s         *Server
	nc        net.Conn
	in        input
	out       output
	remote    string
	peer      netip.Addr
	tls       *tls.ConnectionState
	since     int64 // on the clock
	requests  int64
	idle      time.Duration // Settings.IdleTimeout of the last request
	knownHost string

	busy   atomic.Bool // a request is being read or served
	linger bool        // the client may still send: see hangUp

	mu      sync.Mutex
	watched *requestContext // somebody waits for its end
	cut     bool            // the server was closed
	away    bool            // hijacked
	lost    bool            // the client's stream has ended
}

func (s *Server) newConn(nc net.Conn) *conn {
	c := &conn{s: s, nc: nc, since: s.clock.now.Load(), remote: nc.RemoteAddr().String()}
	if addr, err := netip.ParseAddrPort(c.remote); err == nil {
		c.peer = addr.Addr().Unmap()
	}
	c.in.nc, c.in.clock = nc, s.clock
	c.out.nc, c.out.clock, c.out.writes = nc, s.clock, true
	c.in.prepare(socketOf(nc), s.portable)
	return c
}

func (c *conn) clock() *clock { return c.s.clock }

func (c *conn) serve() {
	defer c.close()
	set := c.s.settings()
	c.in.within(set.HeadTimeout)
	if c.handshake(set.HeadTimeout) {
		for c.await() && c.next() {
			c.in.within(c.idle)
		}
	}
	if c.linger {
		c.hangUp()
	}
}

// await waits for a request to begin.
func (c *conn) await() bool {
	if len(c.in.bytes()) == 0 {
		c.in.release()
		c.busy.Store(false)
		if c.in.await() != nil {
			return false
		}
	}
	c.busy.Store(true)
	c.in.within(0)
	return true
}

// next serves one request, and reports whether another may follow.
func (c *conn) next() (more bool) {
	t := newTurn(c)
	v, err := c.readHead(t)
	if err != nil || v != nil && c.switchToHTTP2(v) {
		t.recycle = true
		t.end()
		return false
	}
	c.requests++
	c.in.release()
	t.begin()
	if v != nil && v != wire.AnswerOptions {
		t.message.close = true
	}
	ok := c.handle(t, v)
	more = c.settle(t, ok)
	t.end()
	return more
}

var heads = sync.Pool{New: func() any { return new(head) }}

// readHead reads a request up to the end of its head. A violation is to be answered; after an error nobody is there.
func (c *conn) readHead(t *turn) (*wire.Violation, error) {
	h := heads.Get().(*head)
	defer heads.Put(h)
	h.reset()
	for waits := false; ; waits = true {
		n, v := h.parse(c.in.bytes())
		if n > 0 {
			c.in.within(0)
			t.values, v = h.build(&t.message, t.req, c.in.bytes()[:n], t.values)
			c.in.skip(n)
			return v, nil
		}
		if v == nil {
			if !waits {
				c.in.within(t.set.HeadTimeout)
			}
			err := c.in.fill()
			if err == nil {
				continue
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return nil, err
			}
			v = bad(refusal.RequestTimeout, "head is not complete after %v", t.set.HeadTimeout)
		}
		c.in.within(0)
		if h.started {
			h.buildLine(t.req, string(c.in.bytes()[:h.target.to]))
		} else {
			t.req.ProtoMajor, t.req.ProtoMinor = 1, 1
		}
		return v, nil
	}
}

// handle calls the handler, or refuses. The result is false if that panicked.
func (c *conn) handle(t *turn, v *wire.Violation) (ok bool) {
	defer func() {
		if value := recover(); value != nil && value != http.ErrAbortHandler { //nolint:errorlint // a panic's value is compared as net/http does
			c.s.panicked(&t.x, value, debug.Stack())
		}
	}()
	if v != nil {
		c.s.refuse(&t.w, t.req, v)
	} else {
		c.s.Handler.ServeHTTP(&t.w, t.req)
	}
	return true
}

// settle ends a request whose handler has returned, and reports whether the connection goes on.
func (c *conn) settle(t *turn, ok bool) (more bool) {
	t.ctx.end()
	if c.isAway() {
		t.w.finish()
		return false
	}
	if !ok {
		unclear := t.w.abort()
		t.body.shut()
		if tcp, ok := socketOf(c.nc).(*net.TCPConn); ok && unclear {
			_ = tcp.SetLinger(0) // a reset: what was sent is not the whole
			_ = tcp.Close()      // nor may TLS say so
		}
		return false
	}
	more = t.w.finish()
	t.body.shut()
	more = more && t.body.discard() && c.in.reset() == nil && c.out.reset() == nil && !c.isLost()
	c.linger = !more && t.w.broken == nil && (!t.message.close || !t.body.whole.Load() || len(c.in.bytes()) > 0 || t.x.Refusal != "")
	return more
}

// hangUp closes a connection on which the client may still be sending, so that the client can read the last answer: bytes that nobody has
// read would make the system reset the connection and throw the answer away.
func (c *conn) hangUp() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.in.reset() != nil || c.in.setUser(time.Now().Add(discardTime)) != nil {
		return
	}
	buf := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(buf)
	for total := 0; total < discardBytes; {
		n, err := c.in.read(buf[:])
		if err != nil {
			return
		}
		total += n
	}
}

func (c *conn) close() {
	if c.isAway() {
		return
	}
	c.in.skip(len(c.in.bytes()))
	c.in.release()
	_ = c.nc.Close() // it may be closed already
	c.s.remove(c)
}

// detach takes the connection out of the server's hands.
func (c *conn) detach() {
	c.mu.Lock()
	c.away, c.watched = true, nil
	c.mu.Unlock()
	c.in.within(0)
	c.out.within(0)
	c.s.remove(c)
}

func (c *conn) isAway() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.away
}

func (c *conn) isLost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost || c.cut
}

// sweep looks at the connection's time-outs and at whether its client is gone. idle: no request may be waited for any more.
func (c *conn) sweep(idle bool) {
	if due := c.in.due.Load(); idle && due != 0 && !c.busy.Load() {
		c.in.due.CompareAndSwap(due, c.clock().now.Load())
	}
	c.in.expire()
	c.out.expire()
	if c.isWatched() && c.in.gone() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lost = true
		if c.watched != nil {
			c.watched.endLocked(ErrClientGone)
		}
	}
}

func (c *conn) isWatched() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.watched != nil
}

// cutOff ends the connection at once, and reports whether a request was served on it.
func (c *conn) cutOff() (busy bool) {
	c.mu.Lock()
	c.cut = true
	if c.watched != nil {
		c.watched.endLocked(http.ErrServerClosed)
	}
	c.mu.Unlock()
	_ = socketOf(c.nc).Close() // it may be closed already; TLS would take leave, and wait for a client that does not read
	return c.busy.Load()
}
