package http2

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// What a client must keep to while it sends a body, beside Settings.BodyTimeout.
const (
	bodyGrace   = 10 * time.Second // of waiting, after which minBodyRate counts
	minBodyRate = 240              // bytes per second
)

// ErrBodyTooSlow is what a body's Read fails with if the client is too slow. It is a time-out for errors.Is(err, os.ErrDeadlineExceeded), as
// is the error of a read that took too long.
var ErrBodyTooSlow = fmt.Errorf("request body under %d B/s: %w", minBodyRate, os.ErrDeadlineExceeded)

// body is a request's body. One goroutine at a time may read it.
type body struct {
	src     io.ReadCloser
	w       *Writer
	timeout time.Duration
	noRate  bool        // it may come as slowly as it likes
	user    atomic.Bool // the handler has set a deadline of its own
	total   int64
	waited  time.Duration
}

// Read is part of io.Reader.
func (b *body) Read(p []byte) (int, error) {
	start := time.Now()
	if !b.user.Load() {
		_ = b.w.setReadDeadline(start.Add(b.timeout)) // fails once nobody may read any more
	}
	n, err := b.src.Read(p)
	b.total += int64(n)
	b.waited += time.Since(start)
	if err == nil && !b.noRate && b.waited > bodyGrace && float64(b.total) < minBodyRate*b.waited.Seconds() {
		return n, ErrBodyTooSlow
	}
	return n, err
}

// Close is part of io.Closer.
func (b *body) Close() error { return b.src.Close() }
