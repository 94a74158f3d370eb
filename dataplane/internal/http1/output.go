package http1

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// outBuffer is how much of an answer is gathered before it is written. reserve is kept free before it: what stands before the handler's
// header is known last.
const (
	outBuffer = 4 << 10
	reserve   = 256
)

var outBuffers = sync.Pool{New: func() any { return new([outBuffer]byte) }}

// takeOut returns a buffer with its reserve taken.
func takeOut() []byte { return outBuffers.Get().(*[outBuffer]byte)[:reserve] }

// freeOut gives back what takeOut returned, unless it has grown since.
func freeOut(b []byte) {
	if cap(b) == outBuffer {
		outBuffers.Put((*[outBuffer]byte)(b[:outBuffer]))
	}
}

// Pieces in which large bodies are written, so that a slow client is known from one that is gone.
const (
	writePiece = 64 << 10
	filePiece  = 256 << 10
)

// output is the writing side of a connection.
type output struct {
	deadline
	timeout time.Duration // for a piece; 0: none
	vector  [3][]byte
	buffers net.Buffers
}

// send writes what it is given, in as few system calls as there are pieces.
func (o *output) send(head, body, tail []byte) error {
	for len(body) > writePiece {
		if err := o.sendPiece(head, body[:writePiece], nil); err != nil {
			return err
		}
		head, body = nil, body[writePiece:]
	}
	return o.sendPiece(head, body, tail)
}

func (o *output) sendPiece(head, body, tail []byte) error {
	o.within(o.timeout)
	defer o.within(0)
	if len(body) == 0 && len(tail) == 0 {
		return o.write(head)
	}
	o.vector = [3][]byte{head, body, tail}
	o.buffers = o.vector[:]
	defer clear(o.vector[:])
	for {
		_, err := o.buffers.WriteTo(o.nc)
		if err == nil || !o.spurious(err) {
			return err
		}
	}
}

func (o *output) write(p []byte) error {
	for {
		n, err := o.nc.Write(p)
		if err == nil || !o.spurious(err) {
			return err
		}
		p = p[n:]
	}
}

// splice moves what src has to the client without copying it: src is a TCP connection, a file, or a LimitedReader of one. The client has
// as long for a piece as for its bytes in pieces of writePiece; a source of which not all is here yet spends of that time.
func (o *output) splice(src *io.LimitedReader) (n int64, err error) {
	conn := o.nc.(*net.TCPConn)
	for stuck := false; src.N > n; {
		piece := io.LimitedReader{R: src.R, N: min(src.N-n, filePiece)}
		want := piece.N
		o.within(o.timeout * filePiece / writePiece)
		moved, err := conn.ReadFrom(&piece)
		again := err != nil && o.spurious(err) && (moved > 0 || !stuck) // a deadline of the source's is found over for ever
		o.within(0)
		n += moved
		stuck = moved == 0
		if err != nil && !again || err == nil && moved < want {
			return n, err
		}
	}
	return n, nil
}

// canSplice reports whether bytes of src can reach the client without passing through the process.
func (o *output) canSplice(src io.Reader) bool {
	if _, ok := o.nc.(*net.TCPConn); !ok {
		return false
	}
	switch src.(type) {
	case *net.TCPConn, *os.File:
		return true
	}
	return false
}
