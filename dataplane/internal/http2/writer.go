package http2

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"apigateway/dataplane/internal/exchange"
)

var (
	errLate = errors.New("http2: answer used after its handler returned")
	longAgo = time.Unix(1, 0)
)

// stream is what net/http's writer for HTTP/2 can do.
type stream interface {
	http.ResponseWriter
	FlushError() error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// Writer answers one request. Beyond http.ResponseWriter it is an http.Flusher, and http.ResponseController finds deadlines. When its
// handler has returned, every call fails. Its deadlines may be set by any goroutine; all else is for one at a time.
type Writer struct {
	stream  stream
	header  http.Header
	x       *exchange.Exchange
	body    *body
	timeout time.Duration // for a client to take what is written
	timer   *time.Timer   // of that; nil: none yet

	mu   sync.RWMutex // held for writing to set done, for reading while stream is used: it is net/http's again afterwards
	done bool
}

// use reports whether the stream may be used; release is to be called then.
func (w *Writer) use() bool {
	w.mu.RLock()
	if w.done {
		w.mu.RUnlock()
		return false
	}
	return true
}

func (w *Writer) release() { w.mu.RUnlock() }

// end takes the stream back from a handler that has returned. One of its goroutines that still writes loses the stream.
func (w *Writer) end() {
	if !w.mu.TryLock() {
		_ = w.stream.SetWriteDeadline(longAgo) // it always succeeds
		w.mu.Lock()
	}
	defer w.mu.Unlock()
	w.done = true
}

// Header is part of http.ResponseWriter.
func (w *Writer) Header() http.Header { return w.header }

// connectionHeaders have no place in HTTP/2 (RFC 9113 section 8.2.2). Connection is net/http's: it takes it out, and its close for GOAWAY.
var connectionHeaders = [...]string{"Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"}

// WriteHeader is part of http.ResponseWriter. Interim answers go out at once, but for 101, which HTTP/2 does not have. A second final
// status is ignored. It panics for a status that is not one, as net/http does.
func (w *Writer) WriteHeader(status int) {
	if !w.use() {
		return
	}
	defer w.release()
	w.headLocked(status)
}

func (w *Writer) headLocked(status int) {
	if w.x.Status != 0 || status == http.StatusSwitchingProtocols {
		return
	}
	for _, name := range connectionHeaders {
		delete(w.header, name)
	}
	w.stream.WriteHeader(status)
	if status >= 200 {
		w.x.Status = status
	}
}

// Write is part of http.ResponseWriter.
func (w *Writer) Write(p []byte) (int, error) {
	if !w.use() {
		return 0, errLate
	}
	defer w.release()
	if w.x.Status == 0 {
		w.headLocked(http.StatusOK)
	}
	w.watch()
	defer w.timer.Stop()
	return w.stream.Write(p)
}

// Flush is part of http.Flusher.
func (w *Writer) Flush() { _ = w.FlushError() }

// FlushError sends what was written so far, the head at least.
func (w *Writer) FlushError() error {
	if !w.use() {
		return errLate
	}
	defer w.release()
	if w.x.Status == 0 {
		w.headLocked(http.StatusOK)
	}
	w.watch()
	defer w.timer.Stop()
	return w.stream.FlushError()
}

// watch resets the stream if the client has not taken what is written next in time.
func (w *Writer) watch() {
	if w.timer == nil {
		w.timer = time.AfterFunc(w.timeout, func() { _ = w.SetWriteDeadline(longAgo) })
		return
	}
	w.timer.Reset(w.timeout)
}

// SetReadDeadline bounds reads of the request's body, in place of Settings.BodyTimeout. The zero time ends that. A deadline that is over
// ends the body for good.
func (w *Writer) SetReadDeadline(t time.Time) error {
	w.body.user.Store(!t.IsZero())
	return w.setReadDeadline(t)
}

func (w *Writer) setReadDeadline(t time.Time) error {
	if !w.use() {
		return errLate
	}
	defer w.release()
	return w.stream.SetReadDeadline(t)
}

// SetWriteDeadline bounds writes. One that is over resets the stream.
func (w *Writer) SetWriteDeadline(t time.Time) error {
	if !w.use() {
		return errLate
	}
	defer w.release()
	return w.stream.SetWriteDeadline(t)
}

// EnableFullDuplex does nothing: a body may always be read while the answer is written.
func (w *Writer) EnableFullDuplex() error { return nil }
