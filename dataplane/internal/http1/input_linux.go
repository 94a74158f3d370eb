package http1

import (
	"errors"
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// prepare finds out what can be waited on. portable: as on every other system.
func (in *input) prepare(socket net.Conn, portable bool) {
	sc, ok := socket.(syscall.Conn)
	if !ok || portable {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return // closed already: the first read will say so
	}
	in.raw = raw
	if socket == in.nc {
		in.try = in.tryRead
	}
}

// await waits for the first bytes of a message. It tries to read before it waits, and again when the descriptor becomes readable; between
// the two it has no buffer.
func (in *input) await() error {
	if in.try == nil {
		return in.awaitTiny()
	}
	for {
		in.n, in.fail = 0, nil
		err := in.raw.Read(in.try)
		if err == nil {
			err = in.fail
		}
		switch {
		case err != nil && !in.spurious(err):
			return err
		case err == nil && in.n == 0:
			return io.EOF
		case err == nil:
			in.w = in.n
			return nil
		}
	}
}

// tryRead reads what is there. The result is false if that is nothing.
func (in *input) tryRead(fd uintptr) bool {
	in.need()
	for {
		n, err := syscall.Read(int(fd), in.buf)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			in.release()
			return false
		case err != nil:
			in.fail = err
			return true
		}
		in.n = n
		return true
	}
}

// gone reports whether the client's stream has ended, whatever came before its end and is not read yet.
func (in *input) gone() bool {
	if in.raw == nil {
		return in.lookAhead()
	}
	gone := false
	err := in.raw.Control(func(fd uintptr) {
		set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(set, 0)
		gone = err == nil && n > 0 && set[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return gone || err != nil
}
