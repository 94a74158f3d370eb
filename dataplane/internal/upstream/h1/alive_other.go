//go:build !unix

package h1

import "net"

// probe looks at a socket without waiting, which there is no way for here.
type probe struct{}

func newProbe(net.Conn) *probe { return nil }

func (*probe) quiet() bool { return false }

func (*probe) idle() bool { return false }
