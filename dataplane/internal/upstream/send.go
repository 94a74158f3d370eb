package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"apigateway/dataplane/internal/upstream/h1"
)

// maxInline is how much of a body goes out with the head, at most, in bytes.
const maxInline = 8 << 10

// lastWrites is how long a request whose answer is complete may take to go out.
const lastWrites = time.Second

var errBodyLength = errors.New("request body is not as long as announced")

// buffered is a request body that knows how many of its bytes Read would return without waiting.
type buffered interface{ Buffered() int }

// send writes the request: head and what is here of the body at once, the rest on a goroutine of its own.
func (f *round) send() error {
	rest, err := f.inline()
	if err != nil {
		return err
	}
	if _, err := f.conn.Write(f.buf); err != nil {
		if cause, ok := f.ended(err); ok {
			return cause.Err
		}
		f.unsent = err // the backend may have answered all the same
		return nil
	}
	if rest == 0 {
		return nil
	}
	if err := f.conn.Duplex(); err != nil {
		return err
	}
	f.sender = &sender{body: f.a.Body, conn: f.conn, left: rest, begun: f.begun, done: make(chan struct{})}
	go f.sender.run()
	return nil
}

// inline appends what is here of a body whose length is known, and returns how much is left of it; -1: not known.
func (f *round) inline() (left int64, err error) {
	body := f.a.Body
	if body == nil {
		return 0, nil
	}
	left = body.length
	src, ok := body.src.(buffered)
	if !ok || left < 0 {
		return left, nil
	}
	n := int(min(int64(src.Buffered()), left, maxInline))
	for n > 0 && err == nil {
		f.buf = slices.Grow(f.buf, n)
		var got int
		got, err = body.readHere(f.buf[len(f.buf) : len(f.buf)+n])
		f.buf = f.buf[:len(f.buf)+got]
		left -= int64(got)
		n -= got
	}
	switch {
	case errors.Is(err, io.EOF) && left > 0:
		return left, errBodyLength
	case errors.Is(err, io.EOF):
		return left, nil
	default:
		return left, err
	}
}

// stopSending ends a sender whose answer is complete: at once if the client has not sent everything, otherwise it has a
// moment to write what is left. What it has not written then, the backend does not get, and the connection is closed.
func (f *round) stopSending(early bool) {
	var closed error
	select {
	case <-f.sender.done:
	default:
		_ = http.NewResponseController(f.w).Flush()
		conn := f.conn
		if early {
			_ = conn.Close() // first: who reads the client may be writing to the backend
			f.a.Body.stop()
		}
		timer := time.AfterFunc(lastWrites, func() { _ = conn.Close() })
		<-f.sender.done
		if !timer.Stop() || early {
			closed = net.ErrClosed // although the last piece may have gone out just before
		}
	}
	f.unsent = cmp.Or(f.sender.err, closed)
	f.sender = nil
}

// sender writes the rest of a request's body on a goroutine of its own.
type sender struct {
	body  *Body
	conn  *h1.Conn
	left  int64 // of the body; -1: not known, chunked
	begun time.Time
	since atomic.Int64 // when the backend began to be waited for, in nanoseconds since begun; -1: the client is
	stuck time.Time    // Late's: since when the backend takes nothing of what is moved past us; zero: it does
	done  chan struct{}
	err   error // valid once done; nil: the request was written whole
}

// waiting says since when the backend has been waited for, or that the client is. When bytes are moved past us, it takes
// a look at the socket to tell.
func (s *sender) waiting(now time.Time) (since time.Time, client bool) {
	if n := s.since.Load(); n >= 0 {
		return s.begun.Add(time.Duration(n)), false
	}
	socket := s.conn.Socket()
	if socket == nil || !h1.Stuck(socket) {
		s.stuck = time.Time{}
		return now, true
	}
	if s.stuck.IsZero() {
		s.stuck = now
	}
	return s.stuck, false
}

// run writes the body. When it ends for another reason than the backend, it wakes who waits for the answer: a backend
// that has failed does so itself, and may have answered before.
func (s *sender) run() {
	defer close(s.done)
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	var own error
	switch _, moves := s.body.src.(mover); {
	case s.left < 0:
		own, s.err = s.chunks(buf[:])
	case moves && s.left >= minSplice && s.conn.Socket() != nil:
		own, s.err = s.move()
	default:
		own, s.err = s.bytes(buf[:])
	}
	s.since.Store(int64(time.Since(s.begun)))
	if own != nil {
		s.err = own
		s.conn.Interrupt(own)
	}
}

// read reads from the client.
func (s *sender) read(p []byte) (int, error) {
	s.since.Store(-1)
	n, err := s.body.Read(p)
	s.since.Store(int64(time.Since(s.begun)))
	return n, err
}

// bytes writes a body whose length is known.
func (s *sender) bytes(buf []byte) (own, backend error) {
	for {
		n, err := s.read(buf)
		s.left -= int64(n)
		switch {
		case s.left < 0, errors.Is(err, io.EOF) && s.left > 0:
			return errBodyLength, nil
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("request body: %w", err), nil
		}
		if _, werr := s.conn.Write(buf[:n]); werr != nil {
			return nil, werr
		}
		if s.left == 0 {
			return nil, nil
		}
	}
}

// move passes a body of known length on without copying it.
func (s *sender) move() (own, backend error) {
	socket := s.conn.Socket()
	failed := func(err error) bool {
		return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EPIPE) || !h1.Silent(socket)
	}
	for s.left > 0 {
		s.since.Store(-1)
		n, backend, err := s.body.moveTo(socket, min(s.left, maxSplice), failed)
		s.left -= n
		switch {
		case backend != nil:
			return nil, backend
		case errors.Is(err, io.EOF) && s.left > 0:
			return errBodyLength, nil
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("request body: %w", err), nil
		}
	}
	return nil, nil
}

// chunks writes a body of unknown length.
func (s *sender) chunks(buf []byte) (own, backend error) {
	for {
		n, err := s.read(buf[h1.ChunkBefore : len(buf)-h1.ChunkAfter-len(h1.LastChunk)])
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return fmt.Errorf("request body: %w", err), nil
		}
		out := buf[:0]
		if n > 0 {
			out = h1.FrameChunk(buf, n)
		}
		if ended {
			out = append(out, h1.LastChunk...)
		}
		if _, werr := s.conn.Write(out); werr != nil || ended {
			return nil, werr
		}
	}
}
