package h1

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// How far ahead the coarse deadline of a connection is set, and how near it may have come before it is set anew. An Owner
// is first asked in between.
const (
	patience   = 500 * time.Millisecond
	impatience = 100 * time.Millisecond
)

// Owner is the attempt that uses a connection.
type Owner interface {
	// Late is called, on the goroutine that waits, when a read or write has waited for longer than the coarse deadline. It
	// returns until when to wait on, or why not.
	Late(now time.Time) (until time.Time, err error)
}

// Conn is a connection to a backend.
type Conn struct {
	Reused bool // it has carried a request before

	host  *Host
	raw   net.Conn
	tcp   *net.TCPConn // raw, if bytes may go past us; nil: TLS, no TCP, or a system that cannot
	sec   *tls.Conn    // nil: plain
	probe *probe       // nil: raw cannot be looked at
	tick  uint32       // of the pool, when it became idle

	owner  Owner     // nil: nobody is asked, a deadline is one
	armed  time.Time // the deadline of raw
	duplex bool      // another goroutine writes, without a deadline

	mu     sync.Mutex
	cause  error // why Interrupt was called; nil: it was not
	moving bool  // somebody else takes from the socket what has come
}

func newConn(raw net.Conn) *Conn {
	c := &Conn{raw: raw}
	if canSplice {
		c.tcp, _ = raw.(*net.TCPConn)
	}
	c.probe = newProbe(raw)
	return c
}

// Use gives the connection to an owner who waits until no later than latest without being asked.
func (c *Conn) Use(o Owner, now, latest time.Time) error {
	c.owner = o
	hi := now.Add(patience)
	if latest.Before(hi) {
		hi = latest
	}
	if lo := now.Add(impatience); !c.armed.Before(lo) && !c.armed.After(hi) {
		return nil
	}
	return c.set(hi)
}

// set sets the deadline, unless the connection was interrupted.
func (c *Conn) set(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return c.cause
	}
	c.armed = t
	if c.duplex {
		return c.raw.SetReadDeadline(t)
	}
	return c.raw.SetDeadline(t)
}

// Duplex says that another goroutine is going to write. Its writes have no deadline.
func (c *Conn) Duplex() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return c.cause
	}
	c.duplex = true
	return c.raw.SetWriteDeadline(time.Time{})
}

// Interrupt ends what waits on the connection and whatever will: it fails with cause, that of the first call. What another
// goroutine writes goes on until the connection is closed, and a Move until its end. Safe to call from any goroutine, also
// when the connection is closed.
func (c *Conn) Interrupt(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = cause
	}
	longAgo := time.Unix(1, 0)
	switch {
	case c.moving:
	case c.duplex:
		_ = c.raw.SetReadDeadline(longAgo)
	default:
		_ = c.raw.SetDeadline(longAgo)
	}
}

// Interrupted returns the cause given to Interrupt, nil if it was not called.
func (c *Conn) Interrupted() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// late asks the owner after a wait that timed out. It returns why not to wait on.
func (c *Conn) late() error {
	if cause := c.Interrupted(); cause != nil {
		return cause
	}
	if c.owner == nil {
		return os.ErrDeadlineExceeded
	}
	until, err := c.owner.Late(time.Now())
	if err != nil {
		return err
	}
	return c.set(until)
}

// Move lets to take from the socket what has come and src, which reads it, allows. Meanwhile the socket has no deadline, as
// one that passes while the taker is busy would look like its own. Call Use afterwards.
func (c *Conn) Move(to io.ReaderFrom, src *io.LimitedReader) error {
	if err := c.startMoving(); err != nil {
		return err
	}
	_, err := to.ReadFrom(src)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moving = false
	return err
}

func (c *Conn) startMoving() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return c.cause
	}
	c.moving, c.armed = true, time.Time{}
	return c.raw.SetReadDeadline(c.armed)
}

// Read is part of io.Reader.
func (c *Conn) Read(p []byte) (int, error) {
	if c.sec != nil {
		return c.sec.Read(p)
	}
	return c.readRaw(p)
}

// Write is part of io.Writer.
func (c *Conn) Write(p []byte) (int, error) {
	if c.sec != nil {
		return c.sec.Write(p)
	}
	return c.writeRaw(p)
}

func (c *Conn) readRaw(p []byte) (int, error) {
	for {
		n, err := c.raw.Read(p)
		if n > 0 || err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if err := c.late(); err != nil {
			return 0, err
		}
	}
}

func (c *Conn) writeRaw(p []byte) (int, error) {
	for done := 0; ; {
		n, err := c.raw.Write(p[done:])
		done += n
		if err == nil || c.duplex || !errors.Is(err, os.ErrDeadlineExceeded) {
			return done, err
		}
		if err := c.late(); err != nil {
			return done, err
		}
	}
}

// link is what TLS runs over: the socket with its owner's patience.
type link struct {
	net.Conn
	c *Conn
}

func (l link) Read(p []byte) (int, error)  { return l.c.readRaw(p) }
func (l link) Write(p []byte) (int, error) { return l.c.writeRaw(p) }

// Socket returns the plain TCP connection for bytes that go past us, nil if there is none.
func (c *Conn) Socket() *net.TCPConn { return c.tcp }

// Detach ends every deadline and owner: the connection is no HTTP any more.
func (c *Conn) Detach() error {
	c.owner = nil
	return c.set(time.Time{})
}

// Close closes the connection at once; TLS has no last word, for which it might have to wait.
func (c *Conn) Close() error { return c.raw.Close() }

// Put gives the connection back for another request, if it is fit for one; otherwise, and if there is no place, it is
// closed. The caller says by calling it that request and response are whole.
func (c *Conn) Put() {
	c.owner = nil
	if c.duplex {
		c.duplex, c.armed = false, time.Time{} // reads and writes have different deadlines
	}
	if c.Interrupted() != nil || c.unread() || !c.host.put(c) {
		_ = c.Close()
	}
}

// unread reports whether TLS has decrypted more than was asked for.
func (c *Conn) unread() bool {
	if c.sec == nil {
		return false
	}
	c.armed = time.Unix(1, 0) // long ago: what is not here does not come
	if c.raw.SetDeadline(c.armed) != nil {
		return true
	}
	var one [1]byte
	n, err := c.sec.Read(one[:])
	return n > 0 || !errors.Is(err, os.ErrDeadlineExceeded)
}
