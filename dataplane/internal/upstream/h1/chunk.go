package h1

import (
	"bytes"
	"fmt"
	"strconv"
)

// maxChunkLine bounds the line that gives a chunk's size, extensions included and CRLF not, in bytes; maxTrailers the
// trailers altogether.
const (
	maxChunkLine = 256
	maxTrailers  = 32 << 10
)

// parseChunkLine reads the line before a chunk, without its CRLF: 1 to 16 hexadecimal digits, then extensions, which are
// ignored but have to be well formed (RFC 9112 section 7.1).
func parseChunkLine(line []byte) (int64, error) {
	if len(line) > maxChunkLine {
		return 0, malformed("chunk line over 256 bytes", line)
	}
	var size uint64
	i := 0
	for ; i < len(line); i++ {
		digit, ok := hexDigit(line[i])
		if !ok {
			break
		}
		if i == 16 {
			return 0, malformed("chunk size over 16 digits", line)
		}
		size = size<<4 | digit // at most 64 bits
	}
	if i == 0 || size > 1<<63-1 || !validExtensions(line[i:]) {
		return 0, malformed("bad chunk line", line)
	}
	return int64(size), nil
}

func hexDigit(c byte) (uint64, bool) {
	switch {
	case '0' <= c && c <= '9':
		return uint64(c - '0'), true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return uint64(c|0x20-'a') + 10, true
	default:
		return 0, false
	}
}

// validExtensions is chunk-ext of RFC 9112 section 7.1.1.
func validExtensions(s []byte) bool {
	for len(s) > 0 {
		s = trimLeft(s)
		if len(s) == 0 || s[0] != ';' {
			return false
		}
		var ok bool
		if s, ok = token(trimLeft(s[1:])); !ok {
			return false
		}
		after := trimLeft(s)
		if len(after) == 0 || after[0] != '=' {
			continue
		}
		after = trimLeft(after[1:])
		if len(after) > 0 && after[0] == '"' {
			s, ok = quoted(after)
		} else {
			s, ok = token(after)
		}
		if !ok {
			return false
		}
	}
	return true
}

func trimLeft(s []byte) []byte {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	return s
}

// token returns what follows a token, false if there is none.
func token(s []byte) (rest []byte, ok bool) {
	n := 0
	for n < len(s) && byteClass[s[n]]&tokenByte != 0 {
		n++
	}
	return s[n:], n > 0
}

// quoted returns what follows a quoted string, false if it does not end or has control characters.
func quoted(s []byte) (rest []byte, ok bool) {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[i+1:], true
		case c == '\\':
			i++
			if i == len(s) || byteClass[s[i]]&valueByte == 0 {
				return nil, false
			}
		case byteClass[c]&valueByte == 0:
			return nil, false
		}
	}
	return nil, false
}

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
	line, more, err := r.line(maxChunkLine)
	if more || err != nil {
		return more, err
	}
	if r.left, err = parseChunkLine(line); err != nil {
		return false, err
	}
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
	if colon <= 0 || !all(line[:colon], tokenByte) || !all(line[colon+1:], valueByte) {
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
