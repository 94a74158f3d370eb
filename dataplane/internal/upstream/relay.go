package upstream

import (
	"errors"
	"io"
	"net/http"
	"time"

	"apigateway/dataplane/internal/exchange"
)

// What is moved from socket to socket without coming by here: not less than minSplice at a time, which would not be worth
// it, and not more than maxSplice.
const (
	minSplice = 16 << 10
	maxSplice = 1 << 20
)

// copyBody copies the response's body. With flush, what is here goes out before more is waited for.
func (f *round) copyBody(flush bool) Outcome {
	to, _ := f.w.(io.ReaderFrom)
	for {
		piece, err := f.resp.Next()
		switch {
		case errors.Is(err, io.EOF):
			return Outcome{}
		case err != nil:
			return f.broken(err)
		case len(piece) > 0:
			f.moved += int64(len(piece))
			if _, err := f.w.Write(piece); err != nil {
				return f.unwritten(err)
			}
			continue
		}
		if err := f.await(flush); err != nil {
			return f.broken(err)
		}
		if o, done := f.splice(to); done {
			if o.Failed != exchange.None {
				return o
			}
			continue
		}
		f.enlarge()
		if err := f.resp.Fill(); err != nil {
			return f.broken(err)
		}
	}
}

// await prepares for waiting for more of the body.
func (f *round) await(flush bool) error {
	if flush {
		_ = http.NewResponseController(f.w).Flush() // the head too: the first byte may be a long time coming
	}
	if f.unwatch == nil || f.noted >= 0 {
		return nil
	}
	f.noted = f.moved // the head was long in coming: its deadline is not the body's
	now := time.Now()
	f.quiet = now
	return f.conn.Use(f, now, now.Add(f.limit))
}

// enlarge makes room for larger pieces than a head is read in.
func (f *round) enlarge() {
	if f.big == nil {
		f.big = buffers.Get().(*[32 << 10]byte)
		f.buf = f.resp.Swap(f.big[:])
	}
}

// splice moves what is here of a body of known length, and not in the buffer, from the backend's socket to the client's
// writer, which does that within the kernel where it can. As it waits for the backend before, whatever fails in between is
// the client's. It reports whether there was anything for it to do.
func (f *round) splice(to io.ReaderFrom) (o Outcome, done bool) {
	socket, left := f.resp.Direct()
	if to == nil || left < minSplice || f.resp.Head.Chunked {
		return Outcome{}, false
	}
	here, err := f.conn.Readable()
	if err != nil {
		return f.broken(err), true
	}
	if here < minSplice && int64(here) < left {
		return Outcome{}, false
	}
	f.piece = io.LimitedReader{R: socket, N: min(left, int64(here), maxSplice)}
	n := f.piece.N
	err = f.conn.Move(to, &f.piece)
	n -= f.piece.N
	f.moved += n
	f.resp.Took(n)
	switch {
	case err != nil:
		return f.unwritten(err), true
	case n == 0:
		return f.broken(io.ErrNoProgress), true
	}
	now := time.Now()
	if err := f.conn.Use(f, now, now.Add(f.limit)); err != nil {
		return f.broken(err), true
	}
	return Outcome{}, true
}
