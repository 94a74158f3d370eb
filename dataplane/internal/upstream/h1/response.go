package h1

import (
	"errors"
	"io"
	"net"
	"slices"
)

// The framings of a body.
const (
	noBody uint8 = iota
	byLength
	byChunks
	byClose
)

// toEnd stands for the length of a body that ends with its connection.
const toEnd = 1<<63 - 1

// Response reads the responses to one request from a connection: heads, and the body of the last one. Make it ready with
// Reset. It is not safe for concurrent use.
type Response struct {
	Head Head

	conn *Conn
	buf  []byte
	r, w int // what of buf has been read and not yet used

	begun    bool // a byte has been read
	framing  uint8
	place    uint8 // in a chunked body
	ended    bool  // the body has been read whole
	eof      bool  // the backend sends no more
	left     int64 // of the body, or of the chunk
	trailers int   // bytes of them
}

// Reset makes r ready to read from c into buf, which has some length and belongs to r until Release.
func (r *Response) Reset(c *Conn, buf []byte) {
	r.Head.reset()
	*r = Response{Head: r.Head, conn: c, buf: buf}
}

// Release gives the buffer back, grown or not, and forgets connection and head.
func (r *Response) Release() (buf []byte) {
	buf = r.buf
	r.Reset(nil, nil)
	return buf
}

// Swap makes r go on in another buffer, into which what has been read and not used must fit, and returns the old one.
func (r *Response) Swap(buf []byte) (old []byte) {
	old = r.buf
	r.w = copy(buf, r.buf[r.r:r.w])
	r.r, r.buf = 0, buf
	return old
}

// Begun reports whether a byte of a response has been read.
func (r *Response) Begun() bool { return r.begun }

// ReadHead reads the next head into Head. It is io.EOF if the connection ended before the first byte.
func (r *Response) ReadHead() error {
	r.Head.reset()
	for {
		n, err := r.Head.parse(r.buf[r.r:r.w])
		if n > 0 || err != nil {
			r.r += n
			return err
		}
		if r.w == len(r.buf) {
			r.room()
		}
		begun := r.w > r.r
		n, err = r.conn.Read(r.buf[r.w:])
		r.w += n
		switch {
		case n > 0: // an error comes again
			r.begun = true
		case errors.Is(err, io.EOF) && begun:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
}

// room makes some at the end of the buffer.
func (r *Response) room() {
	if r.r > 0 {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
		return
	}
	r.buf = slices.Grow(r.buf, len(r.buf))
	r.buf = r.buf[:cap(r.buf)]
}

// Body says that the head was the final one, of a response to a request with that method, and makes the body ready
// (RFC 9112 section 6.3). length is what the client may be told: -1 if it is not known beforehand. Call it once.
func (r *Response) Body(method string) (length int64) {
	h := &r.Head
	switch {
	case method == "HEAD" || h.Status == 204 || h.Status == 304:
		_ = r.end()
		return h.Length
	case h.Chunked:
		r.framing, r.place = byChunks, inSize
		return -1
	case h.Length >= 0:
		r.framing, r.left = byLength, h.Length
		return h.Length
	default:
		r.framing, r.left = byClose, toEnd
		return -1
	}
}

// end notes that the body is over and returns io.EOF.
func (r *Response) end() error {
	r.ended = true
	return io.EOF
}

// Next returns the next piece of the body that has been read; it is valid until the next call of Fill. Nothing and no
// error: call Fill. The error is io.EOF at the body's end, io.ErrUnexpectedEOF if it ended too early, or that it is
// malformed.
func (r *Response) Next() (piece []byte, err error) {
	if r.ended {
		return nil, io.EOF
	}
	switch r.framing {
	case byChunks:
		piece, err = r.chunked()
	default:
		if r.left == 0 {
			return nil, r.end()
		}
		piece = r.counted()
	}
	if len(piece) > 0 || err != nil || !r.eof {
		return piece, err
	}
	if r.framing == byClose {
		return nil, r.end()
	}
	return nil, io.ErrUnexpectedEOF
}

// counted takes what has been read of the bytes that are left.
func (r *Response) counted() []byte {
	n := int(min(r.left, int64(r.w-r.r)))
	piece := r.buf[r.r : r.r+n]
	r.r += n
	r.left -= int64(n)
	return piece
}

// Fill reads once, after Next had nothing.
func (r *Response) Fill() error {
	switch {
	case r.r == r.w:
		r.r, r.w = 0, 0
	case r.w == len(r.buf):
		r.room()
	}
	n, err := r.conn.Read(r.buf[r.w:])
	r.w += n
	switch {
	case n > 0: // an error comes again
	case errors.Is(err, io.EOF):
		r.eof = true
	case err != nil:
		return err
	}
	return nil
}

// Direct returns the socket and how many bytes of the body may be taken straight from it: what is known to be body and
// is not in the buffer. 0 if there are none, or nothing may go past us. Say with Took how many were.
func (r *Response) Direct() (socket *net.TCPConn, n int64) {
	if r.ended || r.eof || r.r < r.w || r.conn.tcp == nil || r.framing == byChunks && r.place != inData {
		return nil, 0
	}
	return r.conn.tcp, r.left
}

// Took notes that n bytes of the body were taken from the socket.
func (r *Response) Took(n int64) { r.left -= n }

// Reusable reports whether the connection may carry another request, as far as the response can say.
func (r *Response) Reusable() bool {
	return r.ended && !r.eof && (r.r == r.w || bugPoolDirty) && r.Head.KeepAlive && r.framing != byClose && r.Head.Status >= 200
}

// Rest returns what has been read behind the last head and not used. It is valid until Release.
func (r *Response) Rest() []byte { return r.buf[r.r:r.w] }
