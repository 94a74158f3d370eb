package h1

import "strings"

// Classes of bytes, a bit each in byteClass.
const (
	tokenByte   = 1 << iota // RFC 9110 section 5.6.2
	valueByte               // may stand in a field value: all but control characters, tab allowed
	visibleByte             // 0x21 to 0x7E
)

var byteClass = func() (class [256]uint8) {
	for i := range class {
		c := byte(i)
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if letter || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			class[i] |= tokenByte
		}
		if c >= ' ' && c != 0x7F || c == '\t' {
			class[i] |= valueByte
		}
		if c > ' ' && c < 0x7F {
			class[i] |= visibleByte
		}
	}
	return class
}()

// all reports whether every byte of s is of a class.
func all[T string | []byte](s T, class uint8) bool {
	for i := range len(s) {
		if byteClass[s[i]]&class == 0 {
			return false
		}
	}
	return true
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// trim removes optional white space and nothing else.
func trim(s []byte) []byte {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// equalFold reports whether s is lower, in any case. lower is ASCII letters, digits and hyphens.
func equalFold(s []byte, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i, c := range s {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
