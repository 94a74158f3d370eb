package wire

import "strings"

// Classes of bytes, a bit each in byteClass.
const (
	tokenByte      = 1 << iota // RFC 9110 section 5.6.2
	pathByte                   // stands for itself in a canonical path: RFC 3986's pchar and the slash
	unreservedByte             // RFC 3986 section 2.3: never escaped in a canonical path
	escapedByte                // browsers send it raw; escaped in a canonical path
	valueByte                  // may stand in a header value: all but control characters, tab allowed
)

var byteClass = func() (class [256]uint8) {
	for i := range class {
		c := byte(i)
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		set := func(bit uint8, others string) {
			if letter || strings.IndexByte(others, c) >= 0 {
				class[i] |= bit
			}
		}
		set(tokenByte, "!#$%&'*+-.^_`|~")
		set(pathByte, "-._~!$&'()*+,;=:@/")
		set(unreservedByte, "-._~")
		if strings.IndexByte("[]|^", c) >= 0 {
			class[i] |= escapedByte
		}
		if c >= ' ' && c != 0x7F || c == '\t' {
			class[i] |= valueByte
		}
	}
	return class
}()

func all(s string, class uint8) bool {
	for i := range len(s) {
		if byteClass[s[i]]&class == 0 {
			return false
		}
	}
	return true
}

func isToken(s string) bool { return s != "" && all(s, tokenByte) }

// spelled reports whether a header name is lower, in any case and with underscores for hyphens. lower has neither upper
// case nor underscores.
func spelled[T string | []byte](name T, lower string) bool {
	return len(name) == len(lower) && spelledPrefix(name, lower)
}

// spelledPrefix is spelled for the beginning of a name.
func spelledPrefix[T string | []byte](name T, lower string) bool {
	if len(name) < len(lower) {
		return false
	}
	for i := range len(lower) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		case c == '_':
			c = '-'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// listed walks the elements of a comma-separated list over several lines (RFC 9110 section 5.6.1), without empty ones,
// until yield returns false.
func listed(values []string, yield func(element string) bool) {
	for _, line := range values {
		for line != "" {
			element, rest, _ := strings.Cut(line, ",")
			line = rest
			if element = trimSpace(element); element != "" && !yield(element) {
				return
			}
		}
	}
}

// lists reports whether a list has an element, in any case.
func lists(values []string, want string) (found bool) {
	listed(values, func(element string) bool {
		found = strings.EqualFold(element, want)
		return !found
	})
	return found
}

// trimSpace removes RFC 9110's optional white space and nothing else.
func trimSpace(s string) string { return strings.Trim(s, " \t") }
