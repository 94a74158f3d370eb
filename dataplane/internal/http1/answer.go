package http1

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"apigateway/dataplane/internal/wire"
	"apigateway/dataplane/internal/wire/grammar"
)

// answer is how a final answer comes to stand in a buffer: from reserve on, the handler's header lines and the beginning of the body. What
// depends on the body, or on whether more requests may follow, is written before them once it has to go out.
type answer struct {
	buf      []byte // nil: none at the moment
	start    int    // of what is to be sent
	body     int    // begin of the body, or of the chunk that is gathered
	declared int64  // Content-Length, -1: the handler has set none
	written  int64
	chunked  bool
	close    bool // no request follows
	seen     present
}

// present notes headers whose absence matters.
type present struct{ date, kind, encoding bool }

// beginLocked takes the header as it is now for the final head.
func (w *Writer) beginLocked(status int) {
	w.startLocked(status)
	for name, values := range w.header {
		if w.wants(name, values) {
			w.buf = appendField(w.buf, name, values)
		}
	}
	w.endHeadLocked()
}

func (w *Writer) startLocked(status int) {
	w.status = status
	w.turn.x.Status = status
	w.declared = -1
	w.buf, w.start = takeOut(), reserve
}

func (w *Writer) endHeadLocked() {
	w.buf = append(w.buf, "\r\n"...)
	w.body = len(w.buf)
}

// wants notes what a header says to the engine, and reports whether it goes out as it is. Framing is the engine's.
func (w *Writer) wants(name string, values []string) bool {
	switch len(name) {
	case len("Date"):
		w.seen.date = w.seen.date || strings.EqualFold(name, "Date")
	case len("Trailer"):
		return !strings.EqualFold(name, "Trailer") // none is ever sent
	case len("Connection"):
		return !strings.EqualFold(name, "Connection") || w.connection(values)
	case len("Content-Type"):
		w.seen.kind = w.seen.kind || strings.EqualFold(name, "Content-Type")
	case len("Content-Length"):
		if strings.EqualFold(name, "Content-Length") {
			if n, v := wire.ParseContentLength(values); v == nil && hasBody(w.status) {
				w.declared = n
			}
			return false
		}
	case len("Content-Encoding"):
		w.seen.encoding = w.seen.encoding || strings.EqualFold(name, "Content-Encoding")
	case len("Transfer-Encoding"):
		return !strings.EqualFold(name, "Transfer-Encoding")
	}
	return true
}

// connection notes what Connection says, and reports whether it names anything but the engine's own options.
func (w *Writer) connection(values []string) (others bool) {
	for _, line := range values {
		for option := range strings.SplitSeq(line, ",") {
			switch option = strings.Trim(option, " \t"); {
			case strings.EqualFold(option, "close"):
				w.close = true
			case option != "" && !strings.EqualFold(option, "keep-alive"):
				others = true
			}
		}
	}
	return others
}

// appendField appends header lines, none for a name that is no token. Control characters in values become spaces: a handler that copies what
// it was sent must not write lines of an attacker's.
func appendField(b []byte, name string, values []string) []byte {
	if !grammar.IsToken(name) {
		return b
	}
	for _, value := range values {
		b = append(b, name...)
		b = append(b, ": "...)
		from := len(b)
		b = append(b, value...)
		if !grammar.IsValue(b[from:]) {
			for i, c := range b[from:] {
				if c < ' ' && c != '\t' || c == 0x7F {
					b[from+i] = ' '
				}
			}
		}
		b = append(b, "\r\n"...)
	}
	return b
}

// interimLocked sends an interim answer.
func (w *Writer) interimLocked(status int) {
	if status == http.StatusContinue {
		_ = w.continueLocked() // shows at the next write
		return
	}
	if w.turn.req.ProtoMinor == 0 || w.broken != nil {
		return // HTTP/1.0 knows none
	}
	before := w.answer
	b := appendStatus(takeOut()[:0], 1, status)
	for name, values := range w.header {
		if w.wants(name, values) {
			b = appendField(b, name, values)
		}
	}
	b = append(b, "\r\n"...)
	w.answer = before // what is noted counts for the final head
	w.broken = w.turn.conn.out.send(b, nil, nil)
	freeOut(b)
}

// sendContinue sends 100 Continue unless the final head is on its way.
func (w *Writer) sendContinue() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.continueLocked()
}

func (w *Writer) continueLocked() error {
	if err := w.usableLocked(); err != nil {
		return err
	}
	if w.sent || w.broken != nil || !w.turn.message.continues {
		return w.broken
	}
	w.turn.message.continues = false
	w.broken = w.turn.conn.out.send([]byte("HTTP/1.1 100 Continue\r\n\r\n"), nil, nil)
	return w.broken
}

// bodyLocked takes bytes of the body: into the buffer while they fit, else the buffer and they go out.
func (w *Writer) bodyLocked(p []byte) (int, error) {
	w.written += int64(len(p))
	w.needLocked()
	if len(w.buf)+len(p) <= outBuffer {
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	if w.broken = w.writeLocked(p, false); w.broken != nil {
		return 0, w.broken
	}
	return len(p), nil
}

func (w *Writer) needLocked() {
	if w.buf == nil {
		w.buf, w.start, w.body = takeOut(), reserve, reserve
	}
}

func (w *Writer) freeLocked() {
	if w.buf != nil {
		freeOut(w.buf)
		w.buf = nil
	}
}

// flushLocked sends what is in the buffer; last: it is all.
func (w *Writer) flushLocked(last bool) error { return w.writeLocked(nil, last) }

// writeLocked sends what is in the buffer and p behind it; last: no more comes.
func (w *Writer) writeLocked(p []byte, last bool) error {
	w.needLocked()
	defer w.freeLocked()
	if !w.sent {
		w.headLocked(p, last)
	}
	var tail []byte
	if w.chunked {
		tail = w.chunkLocked(len(p), last)
	}
	if len(p) == 0 {
		w.buf, tail = append(w.buf, tail...), nil
	}
	if len(w.buf) == w.start && len(p) == 0 {
		return nil
	}
	return w.turn.conn.out.send(w.buf[w.start:], p, tail)
}

// chunkLocked writes the line of a chunk of what is gathered and n bytes more before it, and returns what stands behind them.
func (w *Writer) chunkLocked(n int, last bool) (tail []byte) {
	if size := len(w.buf) - w.body + n; size > 0 {
		line := append(strconv.AppendInt(make([]byte, 0, 18), int64(size), 16), "\r\n"...)
		if w.body == reserve { // no head before it
			w.start = reserve - len(line)
			copy(w.buf[w.start:], line)
		} else {
			w.buf = slices.Insert(w.buf, w.body, line...)
		}
		tail = crlf
		if last {
			return lastChunkAfter
		}
	} else if last {
		return lastChunk
	}
	return tail
}

var (
	crlf           = []byte("\r\n")
	lastChunk      = []byte("0\r\n\r\n")
	lastChunkAfter = []byte("\r\n0\r\n\r\n")
)

// headLocked fixes how the body is delimited (RFC 9112 section 6.3) and writes the beginning of the head. p is what comes behind the buffer.
func (w *Writer) headLocked(p []byte, last bool) {
	w.sent = true
	t := w.turn
	length := w.declared
	switch {
	case !hasBody(w.status):
		length = -1
	case length >= 0:
	case last && (!w.isHead() || w.written > 0):
		length = w.written
		w.declared = length
	case w.isHead():
	case t.req.ProtoMinor == 1:
		w.chunked = true
	default:
		w.close = true // the connection's end is the body's
	}
	w.close = w.close || w.status == http.StatusSwitchingProtocols || t.lastOfConn()
	var head [reserve]byte
	b := appendStatus(head[:0], t.req.ProtoMinor, w.status)
	if length >= 0 {
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), length, 10), "\r\n"...)
	} else if w.chunked {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	if w.sniffs() {
		b = w.appendKind(b, p)
	}
	if w.close && w.status != http.StatusSwitchingProtocols {
		b = append(b, "Connection: close\r\n"...)
	} else if t.req.ProtoMinor == 0 {
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	if !w.seen.date {
		b = append(b, *t.conn.in.clock.date.Load()...)
	}
	w.start = reserve - len(b)
	copy(w.buf[w.start:], b)
}

// sniffs reports whether the content's type is to be guessed, as net/http does. A handler that sets Content-Type to nil wants none.
func (w *Writer) sniffs() bool {
	return !w.seen.kind && !w.seen.encoding && hasBody(w.status) && !w.isHead() && w.written > 0
}

func (w *Writer) appendKind(b, p []byte) []byte {
	const enough = 512
	data := w.buf[w.body:]
	if len(data) < enough && len(p) > 0 {
		data = slices.Concat(data, p[:min(len(p), enough)])
	}
	return append(append(append(b, "Content-Type: "...), http.DetectContentType(data)...), "\r\n"...)
}

func appendStatus(b []byte, minor, status int) []byte {
	if minor == 1 && status == http.StatusOK {
		return append(b, "HTTP/1.1 200 OK\r\n"...)
	}
	b = append(b, "HTTP/1."...)
	b = append(b, byte('0'+minor), ' ')
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(append(b, ' '), http.StatusText(status)...)
	return append(b, "\r\n"...)
}

// finish ends the answer: the handler has returned. The result is false if the connection cannot go on.
func (w *Writer) finish() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done.Store(true)
	if w.hijacked {
		return false
	}
	if w.status == 0 {
		w.beginLocked(http.StatusOK)
	}
	if w.broken == nil && (!w.sent || w.chunked || len(w.buf) > w.start) {
		w.broken = w.flushLocked(true)
	}
	w.freeLocked()
	short := w.declared >= 0 && w.written < w.declared && hasBody(w.status) && !w.isHead()
	return w.broken == nil && !w.close && !short
}

// abort ends the answer of a handler that panicked. unclear: the client could take what it has for the whole.
func (w *Writer) abort() (unclear bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done.Store(true)
	w.freeLocked()
	return w.sent && !w.chunked && w.declared < 0
}

var (
	_ io.ReaderFrom = (*Writer)(nil)
	_ http.Flusher  = (*Writer)(nil)
	_ http.Hijacker = (*Writer)(nil)
)
