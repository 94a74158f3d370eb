package h1

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Readable waits until there is something to read on the socket and returns how many bytes there are, 0 at its end. The
// owner is asked as in Read. It is for Direct's socket only.
func (c *Conn) Readable() (n int, err error) {
	for {
		var failed error
		err := c.probe.control.Read(func(fd uintptr) bool {
			n, failed = available(int(fd))
			return n > 0 || !errors.Is(failed, unix.EAGAIN)
		})
		if err == nil {
			return n, failed
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, err
		}
		if err := c.late(); err != nil {
			return 0, err
		}
	}
}

// available returns how many bytes can be read without waiting. None is the end, or unix.EAGAIN.
func available(fd int) (int, error) {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if n > 0 || err != nil {
		return n, err
	}
	var one [1]byte
	return peek(uintptr(fd), &one)
}

// canSplice says that sockets can be joined within the kernel.
const canSplice = true

// Stuck reports whether the socket takes no more bytes for now.
func Stuck(c *net.TCPConn) (stuck bool) {
	control, err := c.SyscallConn()
	if err != nil {
		return false
	}
	err = control.Control(func(fd uintptr) {
		ready, perr := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0)
		stuck = perr == nil && ready == 0
	})
	return err == nil && stuck
}
