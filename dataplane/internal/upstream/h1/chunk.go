package h1

import (
	"bytes"
	"fmt"
	"strconv"

	"apigateway/dataplane/internal/wire/grammar"
)

// maxTrailers bounds the trailers altogether, in bytes.
const maxTrailers = 32 << 10

// line takes the next line out of the buffer, without its CRLF. more: it is not complete yet.
func (r *Response) line(limit int) (line []byte, more bool, err error) {
	here := r.buf[r.r:r.w]
	i := bytes.IndexByte(here, '\n')
	if i < 0 {
		if len(here) > limit+len("\r") {
			return nil, false, fmt.Errorf("%w: line over %d bytes in a chunked body", ErrMalformed, limit)
		}
		return nil, true, nil
	}
	if i == 0 || here[i-1] != '\r' {
		return nil, false, errBareLF
	}
	if i-1 > limit {
		return nil, false, fmt.Errorf("%w: line over %d bytes in a chunked body", ErrMalformed, limit)
	}
	r.r += i + 1
	return here[:i-1], false, nil
}

// The places in a chunked body.
const (
	inSize uint8 = iota
	inData
	inDataEnd
	inTrailers
)

// chunked is Next for a chunked body.
func (r *Response) chunked() (piece []byte, err error) {
	for {
		var more bool
		switch r.place {
		case inSize:
			more, err = r.chunkSize()
		case inData:
			if r.left > 0 {
				return r.counted(), nil
			}
			r.place = inDataEnd
		case inDataEnd:
			var end []byte
			if end, more, err = r.line(0); !more && err == nil && len(end) == 0 {
				r.place = inSize
			}
		case inTrailers:
			more, err = r.trailer()
		}
		if more || err != nil {
			return nil, err
		}
	}
}

func (r *Response) chunkSize() (more bool, err error) {
	line, more, err := r.line(grammar.MaxChunkLine)
	if more || err != nil {
		return more, err
	}
	size, ok := grammar.ChunkSize(line)
	if !ok {
		return false, malformed("bad chunk line", line)
	}
	r.left = size
	r.place = inData
	if r.left == 0 {
		r.place, r.trailers = inTrailers, 0
	}
	return false, nil
}

// trailer reads one line behind the last chunk. Trailers have to be well formed and are dropped.
func (r *Response) trailer() (more bool, err error) {
	line, more, err := r.line(maxTrailers - r.trailers)
	if more || err != nil {
		return more, err
	}
	if len(line) == 0 {
		return false, r.end()
	}
	r.trailers += len(line)
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !grammar.IsToken(line[:colon]) || !grammar.IsValue(line[colon+1:]) {
		return false, malformed("bad trailer", line)
	}
	return false, nil
}

// Room that AppendChunk's frame takes around its data.
const (
	ChunkBefore = 6 // four digits and CRLF
	ChunkAfter  = 2
)

// FrameChunk makes a chunk of b[ChunkBefore:ChunkBefore+n] in place, n being 1 to 65,535 and b having ChunkAfter bytes of
// room behind it, and returns it.
func FrameChunk(b []byte, n int) []byte {
	const digits = "0123456789abcdef"
	b[0], b[1], b[2], b[3] = digits[n>>12&15], digits[n>>8&15], digits[n>>4&15], digits[n&15]
	b[4], b[5] = '\r', '\n'
	b[ChunkBefore+n], b[ChunkBefore+n+1] = '\r', '\n'
	return b[:ChunkBefore+n+ChunkAfter]
}

// LastChunk ends a chunked body without trailers.
const LastChunk = "0\r\n\r\n"

// AppendChunkSize appends the line before a chunk of n bytes.
func AppendChunkSize(b []byte, n int64) []byte {
	return append(strconv.AppendInt(b, n, 16), '\r', '\n')
}
