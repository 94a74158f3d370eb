package http1

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// How much of a body that nobody read is read to its end, and for how long.
const (
	discardBytes = 64 << 10
	discardTime  = time.Second
)

// shut ends the body for its readers: one that waits for the client is unblocked and awaited.
func (b *body) shut() {
	if !b.in.body.TryLock() {
		b.in.stop()
		b.in.body.Lock()
	}
	b.closed, b.in.ahead = true, false
	b.in.body.Unlock()
}

// discard reads what is left of a body that is shut, false if that is too much: the connection cannot go on.
func (b *body) discard() bool {
	if b.whole.Load() {
		return true
	}
	if b.err != nil {
		return false
	}
	b.noRate = true
	if b.in.reset() != nil || b.in.setUser(time.Now().Add(discardTime)) != nil {
		return false
	}
	buf := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(buf)
	for most := b.total + discardBytes; b.err == nil && b.total <= most; {
		_, _ = b.next(buf[:]) // how it ended is in b.err
	}
	return errors.Is(b.err, io.EOF) && b.in.reset() == nil
}

// minSplice is how much has to have come of a body for a move past the process to be worth it.
const minSplice = 8 << 10

// WriteNTo waits for the client and moves what has come of the body to dst, at most limit bytes. Between two plain TCP connections it does
// not pass through the process if the body has a length; an error is then either side's. It returns io.EOF at the end of the body.
func (b *body) WriteNTo(dst io.Writer, limit int64) (n int64, err error) {
	b.in.body.Lock()
	defer b.in.body.Unlock()
	to, ok := dst.(*net.TCPConn)
	from, plain := b.in.nc.(*net.TCPConn)
	if b.closed || b.err != nil || b.continues.Load() || !ok || !plain || !b.in.canLook() || b.chunked || len(b.in.bytes()) > 0 {
		return b.copyTo(dst, limit)
	}
	here := 0
	if err := b.wait(func() (err error) {
		here, err = b.in.readable()
		return err
	}); err != nil {
		return 0, b.end(err)
	}
	if here < minSplice && int64(here) < b.left {
		return b.copyTo(dst, limit)
	}
	n, err = b.in.splice(to, &io.LimitedReader{R: from, N: min(limit, b.left, int64(here))})
	b.took(n)
	if errors.Is(err, os.ErrDeadlineExceeded) && !b.in.stopped.Load() {
		err = nil // dst took its time; the client is waited for with the next call
	}
	if err != nil {
		return n, b.end(err)
	}
	return n, b.err
}

// splice moves src, which reads the connection, to another one.
func (in *input) splice(to *net.TCPConn, src *io.LimitedReader) (n int64, err error) {
	for stuck := false; ; {
		moved, err := to.ReadFrom(src)
		n += moved
		if err == nil && src.N > 0 {
			return n, io.ErrUnexpectedEOF
		}
		if err == nil || !in.spurious(err) || moved == 0 && stuck { // a deadline of the other's is found over for ever
			return n, err
		}
		stuck = moved == 0
	}
}

// copyTo is WriteNTo through a buffer, for one read.
func (b *body) copyTo(dst io.Writer, limit int64) (int64, error) {
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	buf := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(buf)
	n, err := b.next(buf[:min(limit, largeBuffer)])
	if n > 0 {
		if wrote, werr := dst.Write(buf[:n]); werr != nil {
			return int64(wrote), werr
		}
	}
	return int64(n), err
}
