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

// canLook reports whether readable may be called.
func (in *input) canLook() bool { return in.raw != nil }

// readable waits until there is something to read on the socket and returns how many bytes there are. It is io.EOF at the end of the client's
// stream.
func (in *input) readable() (n int, err error) {
	for {
		var failed error
		err := in.raw.Read(func(fd uintptr) bool {
			n, failed = available(int(fd))
			return !errors.Is(failed, unix.EAGAIN)
		})
		if err == nil {
			return n, failed
		}
		if !in.spurious(err) {
			return 0, err
		}
	}
}

// available returns how many bytes can be read without waiting; none is io.EOF or unix.EAGAIN.
func available(fd int) (int, error) {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if n > 0 || err != nil {
		return n, err
	}
	set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	ready, err := unix.Poll(set, 0)
	for errors.Is(err, unix.EINTR) {
		ready, err = unix.Poll(set, 0)
	}
	if err != nil {
		return 0, err
	} else if ready == 0 {
		return 0, unix.EAGAIN
	}
	if n, err = unix.IoctlGetInt(fd, unix.TIOCINQ); n > 0 || err != nil { // they came just now
		return n, err
	}
	return 0, io.EOF
}
