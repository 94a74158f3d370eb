//go:build !linux

package h1

import (
	"errors"
	"net"
)

// canSplice says that sockets cannot be joined within the kernel.
const canSplice = false

// Readable is for systems that splice.
func (*Conn) Readable() (int, error) { return 0, errors.ErrUnsupported }

// Stuck is for systems that splice.
func Stuck(*net.TCPConn) bool { return false }
