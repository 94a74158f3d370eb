package h1

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"apigateway/dataplane/internal/wire"
	"apigateway/dataplane/internal/wire/grammar"
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

// Kind is what a field of a response means to who passes it on.
type Kind uint8

// The kinds.
const (
	EndToEnd Kind = iota // passed on, unless Connection names it
	HopByHop             // never passed on: framing, and what belongs to the connection
)

// Field is one line of a head.
type Field struct {
	Name  string // in canonical form
	Value string // without white space around it
	Kind  Kind
}

// field is a line within the head's bytes.
type field struct {
	name           string // if it is a common one
	kind           Kind
	at, end        int // of the name
	value, lineEnd int // the value's begin and end
}

// The names that the parser itself looks at, in canonical form.
const (
	contentLength    = "Content-Length"
	contentType      = "Content-Type"
	transferEncoding = "Transfer-Encoding"
	connection       = "Connection"
	upgrade          = "Upgrade"
	date             = "Date"
)

// Head is the head of one response. It is valid until more is read; strings that it has given stay.
type Head struct {
	Status    int
	Length    int64 // what Content-Length says; -1: nothing
	Chunked   bool
	KeepAlive bool // the backend keeps the connection open after this response
	WebSocket bool // Upgrade and Connection say that it switches to websocket
	Named     bool // Connection names fields that are not to be passed on

	bytes    []byte // all of it
	fields   []field
	minor    byte // of the version: 0 or 1
	closes   bool // by Connection
	keeps    bool // by Connection
	upgrades bool // by Connection
	line     int  // where the line that is being read begins
	seen     int  // up to where there is no line feed
}

// reset makes h ready for another head.
func (h *Head) reset() { *h = Head{fields: h.fields[:0], Length: -1} }

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
	if rest := line[12:]; len(rest) > 0 && (rest[0] != ' ' || !grammar.IsValue(rest)) {
		return malformed("bad reason phrase", line)
	}
	return nil
}

// field is one line, which goes from from to end.
func (h *Head) field(b []byte, from, end int) error {
	if len(h.fields) == MaxFields {
		return errTooMany
	}
	line := b[from:end]
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !grammar.Canonicalize(line[:colon]) {
		return malformed("bad field name or folded line", line)
	}
	f := field{name: grammar.CommonName(line[:colon]), at: from, end: from + colon}
	f.value, f.lineEnd = grammar.Trim(b, from+colon+1, end)
	value := b[f.value:f.lineEnd]
	if !grammar.IsValue(value) {
		return malformed("control character in a field", line)
	}
	if wire.IsHopByHop(line[:colon]) {
		f.kind = HopByHop
	}
	h.fields = append(h.fields, f)
	if f.kind != HopByHop {
		return nil
	}
	return h.special(f.name, value)
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
		from, to := grammar.Trim(element, 0, len(element))
		element = element[from:to]
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

// finish judges the head as a whole.
func (h *Head) finish(b []byte) error {
	if h.Chunked && (h.Length >= 0 || h.minor == 0) {
		return fmt.Errorf("%w: Transfer-Encoding beside Content-Length or on HTTP/1.0", ErrMalformed)
	}
	h.KeepAlive = !h.closes && (h.minor == 1 || h.keeps)
	h.WebSocket = h.WebSocket && h.upgrades
	h.bytes = b
	return nil
}

// Fields returns the lines in their order; their strings share one copy of the head.
func (h *Head) Fields() []Field {
	text, fields := string(h.bytes), make([]Field, len(h.fields))
	for i, f := range h.fields {
		name := f.name
		if name == "" {
			name = text[f.at:f.end]
		}
		fields[i] = Field{Name: name, Value: text[f.value:f.lineEnd], Kind: f.kind}
	}
	return fields
}

// AppendFields is part of wire.FieldSource: it appends the lines that are passed on. If Named, Connection names some that must not be.
func (h *Head) AppendFields(b []byte) (lines []byte, hasDate bool) {
	for i := range h.fields {
		f := &h.fields[i]
		if f.kind == HopByHop {
			continue
		}
		hasDate = hasDate || f.name == date
		b = append(b, h.bytes[f.at:f.end]...)
		b = append(b, ": "...)
		b = append(b, h.bytes[f.value:f.lineEnd]...)
		b = append(b, "\r\n"...)
	}
	return b, hasDate
}

// ContentType returns the first Content-Type, nil if there is none.
func (h *Head) ContentType() []byte {
	for i := range h.fields {
		if f := &h.fields[i]; f.name == contentType {
			return h.bytes[f.value:f.lineEnd]
		}
	}
	return nil
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
