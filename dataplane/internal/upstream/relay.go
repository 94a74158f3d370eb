package upstream

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/upstream/h1"
)

// What is moved from socket to socket without coming by here: not less than minSplice at a time, which would not be worth
// it, and not more than maxSplice, after which deadlines and client are looked at.
const (
	minSplice = 64 << 10
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
		if socket, n := f.resp.Direct(); to != nil && n >= minSplice && !flush {
			if o := f.splice(to, socket, min(n, maxSplice)); o.Failed != exchange.None {
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

// splice moves up to n bytes from the backend's socket to the client's writer, which does it within the kernel where it
// can.
func (f *round) splice(to io.ReaderFrom, socket *net.TCPConn, n int64) Outcome {
	f.piece = io.LimitedReader{R: socket, N: n}
	_, err := to.ReadFrom(&f.piece)
	took := n - f.piece.N
	f.moved += took
	f.resp.Took(took, err == nil && f.piece.N > 0)
	switch {
	case err == nil:
		return Outcome{}
	case errors.Is(err, os.ErrDeadlineExceeded) && f.conn.Overdue():
		if err := f.conn.Late(); err != nil {
			return f.broken(err)
		}
		return Outcome{}
	case h1.Broken(socket):
		return f.broken(err)
	default:
		return f.unwritten(err)
	}
}
