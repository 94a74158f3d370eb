package h1

import (
	"errors"
	"net"
	"os"
	"time"
)

// alive reports whether an idle connection is open and has nothing to read.
func (c *Conn) alive() bool {
	if bugPoolDirty {
		return true
	}
	if c.probe != nil {
		return c.probe.idle()
	}
	return c.quiet()
}

// quiet looks by waiting a moment for a byte: for systems, and connections, that cannot be looked at without.
func (c *Conn) quiet() bool {
	c.armed = time.Now().Add(100 * time.Microsecond)
	if c.raw.SetDeadline(c.armed) != nil {
		return false
	}
	var one [1]byte
	n, err := c.raw.Read(one[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// Silent reports whether a connection is open and its backend has sent nothing, to tell after a copy between two sockets
// which of them failed.
func Silent(c *net.TCPConn) bool {
	p := newProbe(c)
	return p != nil && p.quiet()
}
