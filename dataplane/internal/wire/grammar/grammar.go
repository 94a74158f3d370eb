// Package grammar knows what an HTTP message is made of, below anything that it means: tokens, field names and values, the lines of a
// chunked body (RFC 9110 section 5.6, RFC 9112 section 7.1). Package wire and both HTTP/1.1 engines read and write by it, so that what one
// lets in no other takes for something else.
//
// It allocates nothing, keeps nothing, and is safe for concurrent use.
package grammar

import "encoding/binary"

// upper and lower hold what a byte of a field name becomes in canonical form: at the beginning and behind a hyphen, and elsewhere. 0
// stands for a byte that no token has.
var upper, lower = func() (upper, lower [256]byte) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789") {
		upper[c], lower[c] = c, c
	}
	for c := byte('a'); c <= 'z'; c++ {
		up := c - 'a' + 'A'
		upper[c], lower[c] = up, c
		upper[up], lower[up] = up, c
	}
	return upper, lower
}()

// IsTokenByte reports whether c may stand in a token.
func IsTokenByte(c byte) bool { return lower[c] != 0 }

// IsToken reports whether s is a token; an empty one is none.
func IsToken[T string | []byte](s T) bool {
	for i := range len(s) {
		if lower[s[i]] == 0 {
			return false
		}
	}
	return len(s) > 0
}

// Canonicalize writes a field name in place in the form of http.CanonicalHeaderKey, false if it is no token.
func Canonicalize(name []byte) bool {
	table := &upper
	for i, c := range name {
		c = table[c]
		if c == 0 {
			return false
		}
		name[i] = c
		if table = &lower; c == '-' {
			table = &upper
		}
	}
	return len(name) > 0
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// IsValue reports whether a field value has no control characters but tabs. Eight bytes at a time: b-0x20 borrows into the top bit of a
// byte below 0x20, and b^0x7F is zero for a DEL. A borrow may run on into the next byte; what looks suspicious is looked at byte by byte.
func IsValue(value []byte) bool {
	for len(value) >= 8 {
		v := binary.LittleEndian.Uint64(value)
		del := v ^ 0x7F*ones
		if ((v-0x20*ones)&^v|(del-ones)&^del)&highs != 0 && !isValueSlow(value[:8]) {
			return false
		}
		value = value[8:]
	}
	return isValueSlow(value)
}

func isValueSlow(value []byte) bool {
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7F {
			return false
		}
	}
	return true
}

// IsSpace reports whether c is white space within a line.
func IsSpace(c byte) bool { return c == ' ' || c == '\t' }

// Trim returns what is left of b[from:to] without white space at both ends.
func Trim(b []byte, from, to int) (int, int) {
	for from < to && IsSpace(b[from]) {
		from++
	}
	for from < to && IsSpace(b[to-1]) {
		to--
	}
	return from, to
}
