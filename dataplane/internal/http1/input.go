package http1

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"apigateway/dataplane/internal/wire"
)

// Read buffers come in two sizes: most heads fit the small one, all fit the large one with the empty lines around them.
const (
	smallBuffer = 4 << 10
	largeBuffer = wire.MaxHead + smallBuffer
)

var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

// input is the reading side of a connection. It has a buffer only while there are bytes in it, or a message is being read.
type input struct {
	deadline
	raw syscall.RawConn // of the socket below nc; nil: there is none

	buf  []byte // nil, small or large; buf[r:w] is unread
	r, w int

	body  sync.Mutex // held while a body is read, and while somebody looks ahead
	ahead bool       // what is read next is behind the request that is served; guarded by body

	tiny [1]byte
	try  func(fd uintptr) bool // of await, made once; nil: awaitTiny
	n    int                   // what try read
	fail error
}

func (in *input) bytes() []byte { return in.buf[in.r:in.w] }

// skip consumes n bytes.
func (in *input) skip(n int) {
	if in.r += n; in.r == in.w {
		in.r, in.w = 0, 0
	}
}

// release gives the buffer back if nothing is in it.
func (in *input) release() {
	if in.buf != nil && in.r == in.w {
		freeBuffer(in.buf)
		in.buf, in.r, in.w = nil, 0, 0
	}
}

func freeBuffer(b []byte) {
	switch len(b) {
	case smallBuffer:
		smallBuffers.Put((*[smallBuffer]byte)(b))
	case largeBuffer:
		largeBuffers.Put((*[largeBuffer]byte)(b))
	}
}

func (in *input) need() {
	if in.buf == nil {
		in.buf = smallBuffers.Get().(*[smallBuffer]byte)[:]
	}
}

// makeRoom makes room behind the unread bytes, false if a large buffer is full of them.
func (in *input) makeRoom() bool {
	in.need()
	switch {
	case in.w < len(in.buf):
	case in.r > 0:
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	case len(in.buf) == smallBuffer:
		large := largeBuffers.Get().(*[largeBuffer]byte)[:]
		copy(large, in.buf)
		freeBuffer(in.buf)
		in.buf = large
	default:
		return false
	}
	return true
}

var errFull = errors.New("read buffer is full")

// fill reads more into the buffer.
func (in *input) fill() error {
	if !in.makeRoom() {
		return errFull // no limit on what is parsed reaches that far
	}
	n, err := in.read(in.buf[in.w:])
	in.w += n
	return err
}

// read reads from the connection past the buffer. It returns either bytes or an error.
func (in *input) read(p []byte) (int, error) {
	for {
		n, err := in.nc.Read(p)
		if n > 0 {
			return n, nil
		}
		if err != nil && !in.spurious(err) {
			return 0, err
		}
	}
}

// awaitTiny waits for the first bytes of a message without a buffer: one byte is read into what the connection has anyway. It is await for
// connections that have no descriptor to wait on, and for TLS, whose layer may hold bytes that the descriptor does not show.
func (in *input) awaitTiny() error {
	if _, err := in.read(in.tiny[:]); err != nil {
		return err
	}
	in.need()
	in.w = copy(in.buf, in.tiny[:])
	return nil
}

// behind notes that what is read next is behind the request that is served.
func (in *input) behind() {
	in.body.Lock()
	defer in.body.Unlock()
	in.ahead = true
}

// lookAhead reports whether the client's stream has ended, by reading on for a moment. It finds nothing out before the request's body has
// been read, nor once a buffer is full of pipelined requests.
func (in *input) lookAhead() bool {
	if !in.body.TryLock() {
		return false
	}
	defer in.body.Unlock()
	if !in.ahead || !in.makeRoom() {
		return false
	}
	if !in.bound(time.Now().Add(time.Millisecond)) {
		return false // nobody wants to know any more
	}
	n, err := in.nc.Read(in.buf[in.w:])
	in.w += n
	in.bound(time.Time{})
	return n == 0 && err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}
