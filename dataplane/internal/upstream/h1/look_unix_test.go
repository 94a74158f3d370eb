//go:build unix

package h1

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

// arrived waits until what the peer did has come.
func arrived(t *testing.T, c *Conn) {
	t.Helper()
	_ = c.raw.SetReadDeadline(time.Time{})
	control, err := c.raw.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = control.Read(func(fd uintptr) bool {
		_, err := peek(fd, new([1]byte))
		return !errors.Is(err, syscall.EAGAIN)
	})
}
