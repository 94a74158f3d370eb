package http1

import (
	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/wire"
)

const (
	maxChunkLine = 256 // bytes of a chunk's first line without its end
	maxSizeDigit = 16  // of a chunk's size
)

// parseChunkLine returns the size of the chunk that line announces (RFC 9112 section 7.1). line has no line end.
func parseChunkLine(line []byte) (size int64, v *wire.Violation) {
	n := 0
	for ; n < len(line); n++ {
		digit, ok := hexDigit(line[n])
		if !ok {
			break
		}
		if n == maxSizeDigit || size >= 1<<59 {
			return 0, bad(refusal.BadRequest, "chunk too large: %q", short(line))
		}
		size = size<<4 | int64(digit)
	}
	if n == 0 || !isChunkExt(line[n:]) {
		return 0, bad(refusal.BadRequest, "bad chunk line: %q", short(line))
	}
	return size, nil
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// isChunkExt reports whether s is a list of chunk extensions, which may be empty (RFC 9112 section 7.1.1).
func isChunkExt(s []byte) bool {
	for len(s) > 0 {
		if s = skipSpace(s); len(s) == 0 || s[0] != ';' {
			return false
		}
		s = skipSpace(s[1:])
		name := tokenLen(s)
		if name == 0 {
			return false
		}
		s = s[name:]
		if rest := skipSpace(s); len(rest) > 0 && rest[0] == '=' {
			rest = skipSpace(rest[1:])
			value := tokenLen(rest)
			if value == 0 {
				value = quotedLen(rest)
			}
			if value == 0 {
				return false
			}
			s = rest[value:]
		}
	}
	return true
}

func skipSpace(s []byte) []byte {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	return s
}

// tokenLen returns the length of the token that s begins with, 0 if it begins with none.
func tokenLen(s []byte) int {
	for i, c := range s {
		if lower[c] == 0 {
			return i
		}
	}
	return len(s)
}

// quotedLen returns the length of the quoted string that s begins with, 0 if it begins with none (RFC 9110 section 5.6.4).
func quotedLen(s []byte) int {
	if len(s) == 0 || s[0] != '"' {
		return 0
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c < ' ' && c != '\t' || c == 0x7F:
			return 0
		case c == '\\':
			if i++; i == len(s) || s[i] < ' ' && s[i] != '\t' || s[i] == 0x7F {
				return 0
			}
		}
	}
	return 0
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
