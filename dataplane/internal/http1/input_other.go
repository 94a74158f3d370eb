//go:build !linux

package http1

import "net"

// prepare has nothing to prepare: only Linux says that a stream has ended behind bytes that are not read yet.
func (in *input) prepare(net.Conn, bool) {}

// await waits for the first bytes of a message.
func (in *input) await() error { return in.awaitTiny() }

// gone reports whether the client's stream has ended, as far as that can be seen.
func (in *input) gone() bool { return in.lookAhead() }
