package grammar

// What is taken of the line before a chunk.
const (
	MaxChunkLine = 256 // bytes without its end
	maxSizeDigit = 16
)

// ChunkSize returns the size of the chunk that a line announces: 1 to 16 hexadecimal digits, at most 2^63-1, then extensions, which say
// nothing here but have to be well formed (RFC 9112 section 7.1). line has no line end. The result is false if it is anything else.
func ChunkSize(line []byte) (size int64, ok bool) {
	n := 0
	for ; n < len(line); n++ {
		digit, ok := hexDigit(line[n])
		if !ok {
			break
		}
		if n == maxSizeDigit || size >= 1<<59 {
			return 0, false
		}
		size = size<<4 | digit
	}
	return size, n > 0 && len(line) <= MaxChunkLine && isChunkExt(line[n:])
}

func hexDigit(c byte) (int64, bool) {
	switch {
	case '0' <= c && c <= '9':
		return int64(c - '0'), true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int64(c|0x20-'a') + 10, true
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
	for len(s) > 0 && IsSpace(s[0]) {
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
