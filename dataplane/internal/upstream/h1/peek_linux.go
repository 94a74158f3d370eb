package h1

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// peek looks at the next byte that a socket has, without waiting. unix.Recvfrom would allocate an address each time, and
// the scheduler need not know of a call that never blocks.
func peek(fd uintptr, one *[1]byte) (n int, err error) {
	got, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(one)), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(got), nil
}
