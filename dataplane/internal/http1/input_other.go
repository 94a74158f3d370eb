//go:build !linux

package http1

import (
	"errors"
	"net"
)

// prepare has nothing to prepare: only Linux says that a stream has ended behind bytes that are not read yet.
func (in *input) prepare(net.Conn, bool) {}

// await waits for the first bytes of a message.
func (in *input) await() error { return in.awaitTiny() }

// gone reports whether the client's stream has ended, as far as that can be seen.
func (in *input) gone() bool { return in.lookAhead() }

// canLook reports whether readable may be called: bodies are copied here.
func (in *input) canLook() bool { return false }

// readable is never called.
func (in *input) readable() (int, error) { return 0, errors.ErrUnsupported }
