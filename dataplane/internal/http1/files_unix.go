//go:build unix

package http1

import (
	"net"
	"sync"
	"syscall"
)

// fileLimit is 90 % of how many descriptors the process may have; 0: unknown.
var fileLimit = sync.OnceValue(func() int64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return max(int64(limit.Cur)/10*9, 0)
})

// scarce reports whether descriptors run out: a new one has the lowest number that is free.
func scarce(nc net.Conn) bool {
	sc, ok := nc.(syscall.Conn)
	if !ok || fileLimit() == 0 {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	over := false
	err = raw.Control(func(fd uintptr) { over = int64(fd) >= fileLimit() })
	return err == nil && over
}
