package h1

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// What a response's head may hold.
const (
	MaxHead   = 64 << 10 // bytes, the status line and the empty line included
	MaxFields = 200      // lines
)

// What is wrong with a response. They are wrapped in what is returned.
var (
	ErrMalformed = errors.New("malformed response")
	errTooLarge  = fmt.Errorf("%w: head over %d bytes", ErrMalformed, MaxHead)
	errTooMany   = fmt.Errorf("%w: more than %d fields", ErrMalformed, MaxFields)
	errBareLF    = fmt.Errorf("%w: line that does not end in CRLF", ErrMalformed)
)

func malformed(what string, got []byte) error {
	return fmt.Errorf("%w: %s, got %.64q", ErrMalformed, what, got)
}

// Field is one line of a head.
type Field struct {
	Name  string // in canonical form
	Value string // without white space around it
	Kind  Kind

	nameAt, nameEnd, valueAt, valueEnd int // in the head, while it is being parsed
}

// Head is the head of one response. It is valid until the next one is read; its strings stay.
type Head struct {
	Status    int
	Fields    []Field // in their order
	Length    int64   // what Content-Length says; -1: nothing
	Chunked   bool
	KeepAlive bool // the backend keeps the connection open after this response
	WebSocket bool // Upgrade and Connection say that it switches to websocket
	Named     bool // Connection names fields that are not to be passed on

	minor    byte // of the version: 0 or 1
	closes   bool // by Connection
	keeps    bool // by Connection
	upgrades bool // by Connection
	line     int  // where the line that is being read begins
	seen     int  // up to where there is no line feed
}

// reset makes h ready for another head. It drops every string.
func (h *Head) reset() {
	clear(h.Fields)
	*h = Head{Fields: h.Fields[:0], Length: -1}
}

// parse takes what there is of the head, from its first byte on, and returns its length once it is complete, 0 before.
// It goes on where it stopped the last time. Names in b are written over with their canonical form.
func (h *Head) parse(b []byte) (n int, err error) {
	for {
		i := bytes.IndexByte(b[h.seen:], '\n')
		if i < 0 {
			h.seen = len(b)
			if len(b) > MaxHead {
				return 0, errTooLarge
			}
			return 0, nil
		}
		from, end := h.line, h.seen+i
		h.line, h.seen = end+1, end+1
		switch {
		case end >= MaxHead:
			return 0, errTooLarge
		case end == from || b[end-1] != '\r':
			return 0, errBareLF
		case from == 0:
			err = h.statusLine(b[:end-1])
		case end-1 == from:
			return h.line, h.finish(b[:h.line])
		default:
			err = h.field(b, from, end-1)
		}
		if err != nil {
			return 0, err
		}
	}
}

// statusLine is RFC 9112 section 4. The space before a reason that is empty may be missing, as it is with many servers.
func (h *Head) statusLine(line []byte) error {
	const version = "HTTP/1."
	if len(line) < len("HTTP/1.1 200") || string(line[:len(version)]) != version || line[7] != '0' && line[7] != '1' || line[8] != ' ' {
		return malformed("not a status line of HTTP/1.0 or 1.1", line)
	}
	h.minor = line[7] - '0'
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return malformed("status that is not three digits", line)
		}
		h.Status = 10*h.Status + int(c-'0')
	}
	if h.Status < 100 || h.Status > 599 {
		return malformed("status that is not 100 to 599", line)
	}
	if rest := line[12:]; len(rest) > 0 && (rest[0] != ' ' || !all(rest, valueByte)) {
		return malformed("bad reason phrase", line)
	}
	return nil
}

// field is one line, which goes from from to end.
func (h *Head) field(b []byte, from, end int) error {
	if len(h.Fields) == MaxFields {
		return errTooMany
	}
	line := b[from:end]
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !canonicalize(line[:colon]) {
		return malformed("bad field name or folded line", line)
	}
	f := Field{nameAt: from, nameEnd: from + colon, valueAt: from + colon + 1, valueEnd: end}
	for f.valueAt < f.valueEnd && isSpace(b[f.valueAt]) {
		f.valueAt++
	}
	for f.valueAt < f.valueEnd && isSpace(b[f.valueEnd-1]) {
		f.valueEnd--
	}
	value := b[f.valueAt:f.valueEnd]
	if !all(value, valueByte) {
		return malformed("control character in a field", line)
	}
	f.Name, f.Kind = known(line[:colon])
	h.Fields = append(h.Fields, f)
	if f.Kind != HopByHop {
		return nil
	}
	return h.special(f.Name, value)
}

// special is a field by which the response is framed or its connection kept.
func (h *Head) special(name string, value []byte) error {
	switch name {
	case contentLength:
		n, ok := parseLength(value)
		if !ok || h.Length >= 0 {
			return malformed("bad or repeated Content-Length", value)
		}
		h.Length = n
	case transferEncoding:
		if h.Chunked || !equalFold(value, "chunked") {
			return malformed("Transfer-Encoding that is not a single chunked", value)
		}
		h.Chunked = true
	case connection:
		h.options(value)
	case upgrade:
		h.WebSocket = equalFold(value, "websocket")
	}
	return nil
}

// options reads the elements of one line of Connection.
func (h *Head) options(value []byte) {
	for len(value) > 0 {
		element, rest, _ := bytes.Cut(value, []byte{','})
		value = rest
		element = trim(element)
		switch {
		case equalFold(element, "close"):
			h.closes = true
		case equalFold(element, "keep-alive"):
			h.keeps = true
		case equalFold(element, "upgrade"):
			h.upgrades = true
		case len(element) > 0:
			h.Named = true
		}
	}
}

// finish judges the head as a whole and cuts the strings out of one copy of it.
func (h *Head) finish(b []byte) error {
	if h.Chunked && (h.Length >= 0 || h.minor == 0) {
		return fmt.Errorf("%w: Transfer-Encoding beside Content-Length or on HTTP/1.0", ErrMalformed)
	}
	h.KeepAlive = !h.closes && (h.minor == 1 || h.keeps)
	h.WebSocket = h.WebSocket && h.upgrades
	text := string(b)
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.Name == "" {
			f.Name = text[f.nameAt:f.nameEnd]
		}
		f.Value = text[f.valueAt:f.valueEnd]
	}
	return nil
}

// canonicalize writes a field name in the form of http.CanonicalHeaderKey. It reports whether it is a token.
func canonicalize(name []byte) bool {
	upper := true
	for i, c := range name {
		if byteClass[c]&tokenByte == 0 {
			return false
		}
		if upper && 'a' <= c && c <= 'z' {
			name[i] = c - 'a' + 'A'
		} else if !upper && 'A' <= c && c <= 'Z' {
			name[i] = c - 'A' + 'a'
		}
		upper = c == '-'
	}
	return true
}

// parseLength reads 1 to 19 digits without leading zeros, at most 2^63-1.
func parseLength(s []byte) (int64, bool) {
	if len(s) == 0 || len(s) > 19 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(string(s), 10, 64) // at most 32 bytes: not on the heap
	return n, err == nil
}
