//go:build !unix

package http1

import "net"

// scarce would report whether descriptors run out; here they have no small numbers.
func scarce(net.Conn) bool { return false }
