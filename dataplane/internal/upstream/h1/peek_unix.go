//go:build unix && !linux

package h1

import "golang.org/x/sys/unix"

// peek looks at the next byte that a socket has, without waiting.
func peek(fd uintptr, one *[1]byte) (n int, err error) {
	n, _, err = unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return max(n, 0), err
}
