package upstream

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/refusal"
)

// What a client must keep to while it sends a body.
const (
	bodyGrace   = 10 * time.Second // of reading, after which minBodyRate counts
	minBodyRate = 240              // bytes per second
)

var (
	errBodyTooLarge = errors.New("request body over max_body")
	errBodyTooSlow  = errors.New("request body under 240 B/s")
	errBodyStopped  = errors.New("request body not wanted any more")
)

// Body is a request's body on its way to a backend: it keeps the client to its limits and remembers what the client did
// wrong, so that nobody takes that for the backend's failure. An engine may read it on a goroutine of its own; closing it
// does nothing, as another attempt may need it.
type Body struct {
	src    io.Reader
	rc     *http.ResponseController
	limit  int64         // bytes; 0: none
	wait   time.Duration // between reads; 0: no bound
	length int64         // announced; -1: unknown
	stream bool          // no minimum rate

	reading sync.Mutex // held during a Read of src

	mu      sync.Mutex
	read    int64
	waited  time.Duration
	whole   bool
	stopped bool
	failure error // of the client; nil: none
}

// newBody returns r's body, nil if r has none. That of a stream may go on for as long as it likes.
func newBody(w http.ResponseWriter, r *http.Request, s *Settings, stream bool) *Body {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	b := &Body{
		src: r.Body, rc: http.NewResponseController(w), limit: s.MaxBody, wait: or(s.BodyTimeout, defaultBody), length: r.ContentLength,
		stream: stream,
	}
	if stream { // its messages go either way: that it is idle is seen by who sees both
		b.limit, b.wait = 0, 0
	}
	return b
}

// never is a time that no read lasts for.
const never = 10 * 365 * 24 * time.Hour

// until is the deadline of a read that begins now. Without a bound it is far away, as no deadline at all would be the
// server's own.
func (b *Body) until(now time.Time) time.Time { return now.Add(or(b.wait, never)) }

// Read is part of io.Reader. One goroutine at a time may call it.
func (b *Body) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if err := b.usable(); err != nil {
		return 0, err
	}
	start := time.Now()
	_ = b.rc.SetReadDeadline(b.until(start)) // not every writer has deadlines
	n, err := b.src.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.rc.SetReadDeadline(time.Time{}) // the server goes on reading
	}
	return n, b.note(int64(n), err, time.Since(start))
}

// readHere is Read for bytes that have come: nobody waits, so that nothing bounds it.
func (b *Body) readHere(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if err := b.usable(); err != nil {
		return 0, err
	}
	n, err := b.src.Read(p)
	return n, b.note(int64(n), err, 0)
}

// mover is a body that can pass its bytes on without copying them through the process, as http1's can. It waits for the
// client, moves what has come, at most limit bytes, and returns io.EOF at the end. An error may be either side's.
type mover interface {
	WriteNTo(dst io.Writer, limit int64) (int64, error)
}

// moveTo is Read for a connection to a backend; failed says whether an error is that connection's.
func (b *Body) moveTo(dst *net.TCPConn, limit int64, failed func(error) bool) (n int64, backend, err error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if err := b.usable(); err != nil {
		return 0, nil, err
	}
	start := time.Now()
	_ = b.rc.SetReadDeadline(b.until(start))
	n, err = b.src.(mover).WriteNTo(dst, limit)
	if err != nil && !errors.Is(err, io.EOF) && failed(err) {
		return n, err, nil
	}
	if errors.Is(err, io.EOF) {
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, nil, b.note(n, err, time.Since(start))
}

// Close is part of io.Closer and does nothing.
func (b *Body) Close() error { return nil }

func (b *Body) usable() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return errBodyStopped
	}
	return b.failure
}

// note records one read and returns what its reader is told.
func (b *Body) note(n int64, err error, took time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read += n
	b.waited += took
	switch {
	case b.stopped:
		return errBodyStopped
	case b.limit > 0 && b.read > b.limit: // before the end: both may come with one read
		b.failure = errBodyTooLarge
	case errors.Is(err, io.EOF):
		b.whole = true
		return io.EOF
	case err != nil:
		b.failure = err
	case !b.stream && b.waited > bodyGrace && float64(b.read) < minBodyRate*b.waited.Seconds():
		b.failure = errBodyTooSlow
	}
	return b.failure
}

// complete reports whether the whole body has been read.
func (b *Body) complete() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.whole || b.length >= 0 && b.read == b.length
}

// stop ends the body for its readers: one that waits for the client is unblocked and awaited, later reads fail. b may be nil.
func (b *Body) stop() {
	if b == nil {
		return
	}
	b.mu.Lock()
	b.stopped = true
	b.mu.Unlock()
	if b.reading.TryLock() {
		b.reading.Unlock()
		return
	}
	_ = b.rc.SetReadDeadline(time.Unix(1, 0)) // long ago
	b.reading.Lock()
	defer b.reading.Unlock()
	_ = b.rc.SetReadDeadline(time.Time{})
}

// fault returns the outcome of what the client did wrong with its body, false if it did nothing wrong. over says whether
// the request's context has ended: a read that failed ends it, also one that only took too long. b may be nil.
func (b *Body) fault(over bool) (Outcome, bool) {
	if b == nil {
		return Outcome{}, false
	}
	b.mu.Lock()
	err := b.failure
	b.mu.Unlock()
	if err == nil {
		return Outcome{}, false
	}
	o := Outcome{Failed: exchange.Client, Reason: refusal.BadRequest, Err: err}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, errBodyTooLarge), errors.As(err, &tooLarge):
		o.Reason = refusal.BodyTooLarge
	case errors.Is(err, errBodyTooSlow), errors.Is(err, os.ErrDeadlineExceeded):
		o.Reason = refusal.RequestTimeout
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		o.Gone = true
	default:
		o.Gone = over
	}
	return o, true
}
