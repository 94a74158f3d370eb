//go:build unix

package h1

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// probe looks at a socket without waiting and without taking anything.
type probe struct {
	control syscall.RawConn
	peek    func(fd uintptr)

	one [1]byte
	n   int
	err error
}

// newProbe returns nil if c is no socket.
func newProbe(c net.Conn) *probe {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	control, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	p := &probe{control: control}
	p.peek = func(fd uintptr) { p.n, p.err = peek(fd, &p.one) }
	return p
}

// quiet reports whether the socket is open both ways and has nothing to read.
func (p *probe) quiet() bool {
	// Control and not Read, which would fail once a deadline has passed.
	return p.control.Control(p.peek) == nil && errors.Is(p.err, unix.EAGAIN)
}
