package http1

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"apigateway/dataplane/internal/wire"
)

var errLate = errors.New("http1: answer used after its handler returned")

// Writer answers one request. Beyond http.ResponseWriter it is an http.Flusher, http.Hijacker and io.ReaderFrom, and http.ResponseController
// finds what it looks for. It keeps net/http's contract; when its handler has returned, every call fails.
//
// Its methods may be called from several goroutines, in an order that makes an answer; the header may not.
type Writer struct {
	turn *turn
	done atomic.Bool // the handler has returned; set with mu held

	mu       sync.Mutex
	header   http.Header
	status   int  // of the final head; 0: none yet
	hijacked bool // the connection is somebody else's
	sent     bool // the final head is, or cannot be
	broken   error
	answer
}

// Header is part of http.ResponseWriter.
func (w *Writer) Header() http.Header { return w.header }

// WriteHeader is part of http.ResponseWriter. Status 100 sends 100 Continue if the client waits for it; other interim answers go out at
// once, to HTTP/1.1. A second final status is ignored. It panics for a status that is not one, as net/http does.
func (w *Writer) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.usableLocked() != nil || w.status != 0 {
		return
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.interimLocked(status)
		return
	}
	w.beginLocked(status)
}

// WriteFields is WriteHeader for a final head whose lines are ready, beside which nobody has set a header; length is the body's, -1 if it is
// not known. It writes nothing and reports false where that does not hold, or where somebody may look at the header later: in a request that
// is not recycled. Content-Type is not guessed.
func (w *Writer) WriteFields(status int, length int64, fields wire.FieldSource) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.turn.recycle || len(w.header) > 0 || w.status != 0 || w.usableLocked() != nil {
		return false
	}
	w.startLocked(status)
	if hasBody(status) {
		w.declared = length
	}
	w.buf, w.seen.date = fields.AppendFields(w.buf)
	w.seen.kind = true
	w.endHeadLocked()
	return true
}

// Write is part of http.ResponseWriter.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.readyLocked(len(p)); err != nil {
		return 0, err
	}
	if w.isHead() {
		w.written += int64(len(p))
		return len(p), nil
	}
	return w.bodyLocked(p)
}

// readyLocked makes sure that n bytes of body may come.
func (w *Writer) readyLocked(n int) error {
	if err := w.usableLocked(); err != nil {
		return err
	}
	if w.status == 0 {
		w.beginLocked(http.StatusOK)
	}
	switch {
	case !hasBody(w.status):
		return http.ErrBodyNotAllowed
	case w.declared >= 0 && int64(n) > w.declared-w.written:
		return http.ErrContentLength
	}
	return w.broken
}

func (w *Writer) usableLocked() error {
	switch {
	case w.hijacked:
		return http.ErrHijacked
	case w.done.Load():
		return errLate
	}
	return nil
}

// ReadFrom is part of io.ReaderFrom. Without a copy through the process go: bytes of a TCP connection or a file, or an *io.LimitedReader of
// one, to a plain TCP connection, where Content-Type and Content-Length are set. It reads no further than Content-Length.
func (w *Writer) ReadFrom(src io.Reader) (int64, error) {
	if n, handled, err := w.splice(src); handled {
		return n, err
	}
	buf := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(buf)
	return io.CopyBuffer(onlyWriter{w}, onlyReader{src}, buf[:])
}

// onlyWriter and onlyReader hide what io.Copy would come back to.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

func (w *Writer) splice(src io.Reader) (n int64, handled bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	limited, ok := src.(*io.LimitedReader)
	if !ok {
		limited = &io.LimitedReader{R: src, N: 1<<63 - 1}
	}
	if !w.turn.conn.out.canSplice(limited.R) || w.readyLocked(0) != nil || w.isHead() || w.declared < 0 || w.sniffs() {
		return 0, false, nil
	}
	if w.broken = w.flushLocked(false); w.broken != nil {
		return 0, true, w.broken
	}
	part := io.LimitedReader{R: limited.R, N: min(limited.N, w.declared-w.written)}
	n, err = w.turn.conn.out.splice(&part)
	limited.N -= n
	w.written += n
	w.broken = err
	return n, true, err
}

// Flush is part of http.Flusher.
func (w *Writer) Flush() { _ = w.FlushError() }

// FlushError sends what was written so far, the head at least.
func (w *Writer) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usableLocked(); err != nil {
		return err
	}
	if w.status == 0 {
		w.beginLocked(http.StatusOK)
	}
	if w.broken == nil {
		w.broken = w.flushLocked(false)
	}
	return w.broken
}

// SetReadDeadline bounds reads of the request's body, in place of Settings.BodyTimeout. The zero time ends that. It may be called while
// another goroutine reads.
func (w *Writer) SetReadDeadline(t time.Time) error {
	if w.done.Load() {
		return errLate
	}
	return w.turn.conn.in.setUser(t)
}

// SetWriteDeadline bounds writes. It may be called while another goroutine writes.
func (w *Writer) SetWriteDeadline(t time.Time) error {
	if w.done.Load() {
		return errLate
	}
	return w.turn.conn.out.setUser(t)
}

// EnableFullDuplex does nothing: a body may always be read while the answer is written.
func (w *Writer) EnableFullDuplex() error { return nil }

// Hijack hands the connection over: what was buffered of the answer is sent, no deadline is left, and a goroutine that still reads the body
// is awaited. What the client has sent already is in the reader.
func (w *Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.giveUp(); err != nil {
		return nil, nil, err
	}
	return w.turn.handOver()
}

// giveUp ends the writer for a hijacker.
func (w *Writer) giveUp() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usableLocked(); err != nil {
		return err
	}
	if w.status != 0 && w.broken == nil {
		w.broken = w.flushLocked(false)
	}
	w.freeLocked()
	w.hijacked = w.broken == nil
	return w.broken
}

// ClientGone looks whether the client's stream has ended, whatever it sent before; a system call. The request's context ends by itself
// within a second, for those who wait on it.
func (w *Writer) ClientGone() bool { return w.turn.conn.in.gone() }

// Recycle says that nothing keeps the request, its context, its header or this writer when the handler returns: they serve the next
// request. Call it where a chain is known to be made of such handlers. Without it every request has its own.
func (w *Writer) Recycle() { w.turn.recycle = true }

func (w *Writer) isHead() bool { return w.turn.req.Method == http.MethodHead }

// hasBody reports whether a final answer with that status has a body, for other methods than HEAD (RFC 9112 section 6.3).
func hasBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
