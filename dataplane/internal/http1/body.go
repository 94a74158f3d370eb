package http1

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/wire"
	"apigateway/dataplane/internal/wire/grammar"
)

// What a client must keep to while it sends a body, beside Settings.BodyTimeout.
const (
	bodyGrace   = 10 * time.Second // of waiting, after which minBodyRate counts
	minBodyRate = 240              // bytes per second
)

// Errors of a body's Read. Both are time-outs for errors.Is(err, os.ErrDeadlineExceeded).
var (
	ErrBodyTimeout = fmt.Errorf("request body: nothing came in time: %w", os.ErrDeadlineExceeded)
	ErrBodyTooSlow = fmt.Errorf("request body under %d B/s: %w", minBodyRate, os.ErrDeadlineExceeded)
)

// body is a request's body. Its errors are those above, io.ErrUnexpectedEOF for one that breaks off, and a *wire.Violation for one that is
// malformed. One goroutine at a time may read it.
type body struct {
	in      *input
	timeout time.Duration // between reads
	noRate  bool          // it may come as slowly as it likes

	interim   func() error // sends 100 Continue
	continues atomic.Bool  // … which is due at the first read
	chunked   bool
	begun     bool        // chunked: there was a chunk, whose data is followed by CRLF
	left      int64       // of the body, chunked: of the chunk
	err       error       // how it ended; nil: not yet
	whole     atomic.Bool // err is io.EOF
	closed    bool
	total     int64
	waited    time.Duration
}

// Read is part of io.Reader. The end comes with the last bytes if it is known by then.
func (b *body) Read(p []byte) (int, error) {
	b.in.body.Lock()
	defer b.in.body.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.next(p)
}

// Close is part of io.Closer: later reads fail. The engine deals with what was not read.
func (b *body) Close() error {
	b.in.body.Lock()
	defer b.in.body.Unlock()
	b.closed = true
	return nil
}

// Buffered returns how many bytes can be read without waiting for the client.
func (b *body) Buffered() int {
	b.in.body.Lock()
	defer b.in.body.Unlock()
	if b.err != nil || b.closed {
		return 0
	}
	return int(min(b.left, int64(len(b.in.bytes()))))
}

func (b *body) next(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if b.continues.Load() {
		b.continues.Store(false)
		if len(b.in.bytes()) == 0 { // a client that has begun does not wait (RFC 9110 section 10.1.1)
			if err := b.interim(); err != nil {
				return 0, b.end(err)
			}
		}
	}
	if b.left == 0 && b.chunked {
		if err := b.nextChunk(); err != nil {
			return 0, b.end(err)
		}
	}
	n, err := b.data(p[:min(int64(len(p)), b.left)])
	b.took(int64(n))
	if err != nil {
		return n, b.end(err)
	}
	return n, b.err
}

// end notes how the body ended.
func (b *body) end(err error) error {
	b.err = err
	if err == io.EOF { //nolint:errorlint // the engine's own, never wrapped
		b.whole.Store(true)
		if !b.closed { // else nobody watches the client any more
			b.in.ahead = true
		}
	}
	return err
}

// took notes n bytes of data.
func (b *body) took(n int64) {
	b.left -= n
	b.total += n
	if b.left > 0 {
		return
	}
	const end = "\r\n0\r\n\r\n"
	if !b.chunked {
		_ = b.end(io.EOF) // returned with the bytes
	} else if bytes.HasPrefix(b.in.bytes(), []byte(end)) {
		b.in.skip(len(end))
		_ = b.end(io.EOF)
	}
}

// data reads what is buffered, or past the buffer.
func (b *body) data(p []byte) (n int, err error) {
	if buffered := b.in.bytes(); len(buffered) > 0 {
		n = copy(p, buffered)
		b.in.skip(n)
		return n, nil
	}
	if b.chunked && len(p) < smallBuffer { // the next chunk's line may come along
		if err = b.fill(); err != nil {
			return 0, err
		}
		return b.data(p)
	}
	err = b.wait(func() (err error) {
		n, err = b.in.read(p)
		return err
	})
	return n, err
}

func (b *body) fill() error { return b.wait(b.in.fill) }

// wait keeps the client to its limits while read waits for it.
func (b *body) wait(read func() error) error {
	if !b.in.hasUser() {
		b.in.within(b.timeout)
	}
	start := b.in.clock.now.Load()
	err := read()
	b.waited += time.Duration(b.in.clock.now.Load() - start)
	timedOut := b.in.over()
	b.in.within(0)
	switch {
	case err == io.EOF: //nolint:errorlint // a connection's own end, never wrapped
		return io.ErrUnexpectedEOF
	case err != nil && timedOut:
		return ErrBodyTimeout
	case err == nil && !b.noRate && b.waited > bodyGrace && float64(b.total) < minBodyRate*b.waited.Seconds():
		return ErrBodyTooSlow
	}
	return err
}

// nextChunk reads up to the next chunk's data. At the end of the body it returns io.EOF.
func (b *body) nextChunk() error {
	if b.begun {
		if _, err := b.line(0); err != nil { // nothing but the data's CRLF
			return err
		}
	}
	b.begun = true
	line, err := b.line(grammar.MaxChunkLine)
	if err != nil {
		return err
	}
	size, ok := grammar.ChunkSize(line)
	if !ok {
		return bad(refusal.BadRequest, "bad chunk line: %q", short(line))
	}
	if size == 0 {
		return b.trailers()
	}
	b.left = size
	return nil
}

// trailers reads and drops the trailer section.
func (b *body) trailers() error {
	for fields, size := 0, 0; ; fields++ {
		line, err := b.line(wire.MaxHead - size)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return io.EOF
		}
		if fields == wire.MaxFields {
			return bad(refusal.HeaderTooLarge, "more than %d trailers", wire.MaxFields)
		}
		size += len(line) + len("\r\n")
		if v := parseTrailer(line); v != nil {
			return v
		}
	}
}

// line consumes a line of at most limit bytes and returns it without its CRLF; it is valid until the next read.
func (b *body) line(limit int) ([]byte, error) {
	for seen := 0; ; {
		have := b.in.bytes()
		if i := bytes.IndexByte(have[seen:], '\n'); i >= 0 {
			end := seen + i
			if end == 0 || have[end-1] != '\r' {
				return nil, bad(refusal.BadRequest, "line in a chunked body does not end in CRLF")
			}
			if end-1 > limit {
				return nil, bad(refusal.BadRequest, "line over %d bytes in a chunked body", limit)
			}
			line := have[:end-1]
			b.in.skip(end + 1)
			return line, nil
		}
		if seen = len(have); seen > limit+len("\r") {
			return nil, bad(refusal.BadRequest, "line over %d bytes in a chunked body", limit)
		}
		if err := b.fill(); err != nil {
			return nil, err
		}
	}
}

// parseTrailer judges a line of the trailer section, which is dropped: names that frame or route a message must not stand there (RFC 9110
// section 6.5.1). It changes line.
func parseTrailer(line []byte) *wire.Violation {
	var f field
	if v := f.parse(line, 0, len(line)); v != nil {
		return v
	}
	switch f.common {
	case "Content-Length", "Transfer-Encoding", "Host":
		return bad(refusal.BadRequest, "%s in a trailer", f.common)
	}
	return nil
}
