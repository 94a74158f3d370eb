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
	fd      uintptr // of the socket; it may be another's once that has been closed
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
	if control.Control(func(fd uintptr) { p.fd = fd }) != nil {
		return nil
	}
	return p
}

// quiet reports whether the socket is open both ways and has nothing to read.
func (p *probe) quiet() bool {
	// Control and not Read, which would fail once a deadline has passed.
	return p.control.Control(p.peek) == nil && errors.Is(p.err, unix.EAGAIN)
}

// idle is quiet for who alone may use the connection or close it, as its pool does: the descriptor need not be held.
func (p *probe) idle() bool {
	_, err := peek(p.fd, &p.one)
	return errors.Is(err, unix.EAGAIN)
}
