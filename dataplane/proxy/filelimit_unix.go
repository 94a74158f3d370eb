//go:build unix

package proxy

import (
	"math"
	"syscall"
)

// fileLimit returns how many descriptors the process may have. Go has raised the soft limit to the hard one.
func fileLimit() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) > math.MaxInt64 { //nolint:unconvert // it is signed on some systems
		return math.MaxInt64
	}
	return int64(limit.Cur)
}
