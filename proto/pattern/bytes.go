package pattern

import "strings"

// isTokenByte reports whether c may stand in a token (RFC 9110 section 5.6.2).
func isTokenByte(c byte) bool {
	return isAlphanumeric(c) || c != 0 && strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// isPathByte reports whether c stands unescaped in a segment: RFC 3986's pchar without the percent sign.
func isPathByte(c byte) bool {
	return isAlphanumeric(c) || c != 0 && strings.IndexByte("-._~!$&'()*+,;=:@", c) >= 0
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
}

// escape writes a decoded segment in its canonical form.
func escape(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isPathByte(c) {
			b.WriteByte(c)
		} else {
			b.WriteString(string([]byte{'%', digits[c>>4], digits[c&15]}))
		}
	}
	return b.String()
}

// unescape decodes s once. bad is the offset of an escape that is none, or -1.
func unescape(s string) (decoded string, bad int) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) || hexDigit(s[i+1]) < 0 || hexDigit(s[i+2]) < 0 {
			return "", i
		}
		b.WriteByte(byte(hexDigit(s[i+1])<<4 | hexDigit(s[i+2])))
		i += 2
	}
	return b.String(), -1
}

func hexDigit(c byte) int {
	if 'A' <= c && c <= 'F' {
		c |= 0x20
	}
	return strings.IndexByte("0123456789abcdef", c)
}
