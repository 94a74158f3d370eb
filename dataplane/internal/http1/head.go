package http1

import (
	"bytes"
	"fmt"

	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/wire"
	"apigateway/dataplane/internal/wire/grammar"
)

// maxBlank is how many empty lines before a request are skipped (RFC 9112 section 2.2 asks for one).
const maxBlank = 2

// span is a part of a head, which is shorter than 64 KiB.
type span struct{ from, to uint16 }

func (s span) of(text string) string { return text[s.from:s.to] }

// field is a header line. common is the name if it is interned.
type field struct {
	name, value span
	common      string
}

// head is a request's head on its way through the parser. It holds offsets into the bytes that are parsed, so that these may move.
type head struct {
	begin int // of the request line, behind empty lines
	line  int // begin of the first line that is not parsed yet
	seen  int // where to look for the next line end

	method, target span
	minor          byte // of HTTP/1.x; valid once started
	started        bool // the request line is parsed
	count          int
	fields         [wire.MaxFields]field
}

// reset makes the head ready for the next message. What is in fields beyond count is never looked at.
func (h *head) reset() { h.begin, h.line, h.seen, h.started, h.count = 0, 0, 0, false, 0 }

// parse goes on with the head at the beginning of b, which has all its bytes so far, and writes header names in canonical form into b.
// It returns the length of the head once it is complete, 0 before that. Each line is judged as soon as it is complete.
func (h *head) parse(b []byte) (n int, v *wire.Violation) {
	for {
		i := bytes.IndexByte(b[h.seen:], '\n')
		if i < 0 {
			h.seen = len(b)
			return 0, h.checkPart(b)
		}
		end := h.seen + i // of the line, at its LF
		h.seen = end + 1
		if end == h.line || b[end-1] != '\r' {
			return 0, bad(refusal.BadRequest, "line does not end in CRLF")
		}
		if empty := end-1 == h.line; empty && h.started {
			return end + 1, nil
		} else if empty {
			if end/2 >= maxBlank {
				return 0, bad(refusal.BadRequest, "more than %d empty lines before the request", maxBlank)
			}
			h.begin = end + 1
		} else if v := h.takeLine(b, end-1); v != nil {
			return 0, v
		}
		h.line = end + 1
	}
}

// checkPart judges a line of which only the beginning is here.
func (h *head) checkPart(b []byte) *wire.Violation {
	if h.started {
		return h.checkSize(len(b) - len("\r"))
	}
	if len(b) > h.line && !grammar.IsTokenByte(b[h.line]) && b[h.line] != '\r' {
		return bad(refusal.BadRequest, "not a request: %q", short(b[h.line:]))
	}
	if len(b)-h.begin >= wire.MaxRequestLine {
		return bad(refusal.URITooLong, "request line over %d bytes", wire.MaxRequestLine)
	}
	return nil
}

// checkSize judges the size of a head whose lines end at end.
func (h *head) checkSize(end int) *wire.Violation {
	if end-h.begin > wire.MaxHead {
		return bad(refusal.HeaderTooLarge, "head over %d bytes", wire.MaxHead)
	}
	return nil
}

// takeLine parses the line that ends before the CRLF at end.
func (h *head) takeLine(b []byte, end int) *wire.Violation {
	if !h.started {
		if end+len("\r\n")-h.begin > wire.MaxRequestLine {
			return bad(refusal.URITooLong, "request line over %d bytes", wire.MaxRequestLine)
		}
		return h.requestLine(b, h.line, end)
	}
	if v := h.checkSize(end + len("\r\n")); v != nil {
		return v
	}
	if h.count == len(h.fields) {
		return bad(refusal.HeaderTooLarge, "more than %d header fields", len(h.fields))
	}
	f := &h.fields[h.count]
	h.count++
	return f.parse(b, h.line, end)
}

// requestLine parses method, target and version, with one space between them (RFC 9112 section 3).
func (h *head) requestLine(b []byte, from, to int) *wire.Violation {
	line := b[from:to]
	method := bytes.IndexByte(line, ' ')
	if method < 0 || !grammar.IsToken(line[:method]) {
		return bad(refusal.BadRequest, "bad request line: %q", short(line))
	}
	target := bytes.IndexByte(line[method+1:], ' ')
	if target <= 0 {
		return bad(refusal.BadRequest, "bad request line: %q", short(line))
	}
	target += method + 1
	for _, c := range line[method+1 : target] {
		if c <= ' ' || c > '~' {
			return bad(refusal.BadRequest, "bad byte in the target: %q", short(line))
		}
	}
	h.method = span{uint16(from), uint16(from + method)}
	h.target = span{uint16(from + method + 1), uint16(from + target)}
	h.started = true
	return h.version(line[target+1:])
}

func (h *head) version(text []byte) *wire.Violation {
	const want = "HTTP/1.1"
	h.minor = 1 // of the answer to what is no version
	if len(text) != len(want) || string(text[:5]) != want[:5] || text[6] != '.' || !isDigit(text[5]) || !isDigit(text[7]) || text[5] == '0' {
		return bad(refusal.BadRequest, "bad HTTP version: %q", short(text))
	}
	if text[5] != '1' || text[7] > '1' {
		return bad(refusal.VersionNotSupported, "HTTP version %s", text[5:])
	}
	h.minor = text[7] - '0'
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// parse takes a header line apart (RFC 9112 section 5).
func (f *field) parse(b []byte, from, to int) *wire.Violation {
	line := b[from:to]
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return bad(refusal.BadRequest, "header line without a colon: %q", short(line))
	}
	name := line[:colon]
	if !grammar.Canonicalize(name) { // white space before the colon or at the line's begin is no part of a token either
		return bad(refusal.BadRequest, "bad header name: %q", short(line))
	}
	first, last := grammar.Trim(b, from+colon+1, to)
	if !grammar.IsValue(b[first:last]) {
		return bad(refusal.BadRequest, "control character in header %s", short(name))
	}
	f.name = span{uint16(from), uint16(from + colon)}
	f.value = span{uint16(first), uint16(last)}
	f.common = grammar.CommonName(name)
	return nil
}

// bad is a violation that the engine found.
func bad(reason refusal.Reason, format string, args ...any) *wire.Violation {
	return &wire.Violation{Status: reason.Status(), Code: reason.Code(), Detail: fmt.Sprintf(format, args...)}
}

// short copies what a detail quotes of b.
func short(b []byte) string {
	const quoted = 64
	return string(b[:min(len(b), quoted)])
}
