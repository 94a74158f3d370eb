package http1

import "encoding/binary"

// upper and lower hold what a byte of a header name becomes in canonical form: at the beginning and behind a hyphen, and elsewhere. 0
// stands for a byte that no token has (RFC 9110 section 5.6.2).
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

// canonicalName writes a header name in canonical form in place, false if it is no token.
func canonicalName(name []byte) bool {
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

func isToken[T string | []byte](s T) bool {
	for i := range len(s) {
		if lower[s[i]] == 0 {
			return false
		}
	}
	return len(s) > 0
}

// commonNames are header names that many requests have, by length.
var commonNames = func() (byLength [20][]string) {
	for _, name := range []string{
		"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Connection", "Content-Encoding",
		"Content-Length", "Content-Type", "Cookie", "Expect", "Host", "If-Modified-Since", "If-None-Match", "Origin", "Pragma", "Range",
		"Referer", "Te", "Traceparent", "Transfer-Encoding", "Upgrade", "User-Agent", "Via", "X-Api-Key", "X-Forwarded-For",
		"X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-Id",
	} {
		byLength[len(name)] = append(byLength[len(name)], name)
	}
	return byLength
}()

// commonName returns a canonical header name without a copy if it is a common one, else "".
func commonName(name []byte) string {
	if len(name) >= len(commonNames) {
		return ""
	}
	for _, common := range commonNames[len(name)] {
		if common == string(name) {
			return common
		}
	}
	return ""
}

// commonMethod is commonName for methods.
func commonMethod(method string) string {
	switch method {
	case "GET":
		return "GET"
	case "HEAD":
		return "HEAD"
	case "POST":
		return "POST"
	case "PUT":
		return "PUT"
	case "PATCH":
		return "PATCH"
	case "DELETE":
		return "DELETE"
	case "OPTIONS":
		return "OPTIONS"
	}
	return method
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// isValue reports whether a header value has no control character but tabs. Eight bytes at a time: b-0x20 borrows into the top bit of a
// byte below 0x20, and b^0x7F is zero for a DEL. A borrow may run on into the next byte; what looks suspicious is looked at byte by byte.
func isValue(value []byte) bool {
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

func isValueSlow[T string | []byte](value T) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7F {
			return false
		}
	}
	return true
}

// trim cuts spaces and tabs off both ends of b[from:to].
func trim(b []byte, from, to int) (int, int) {
	for from < to && (b[from] == ' ' || b[from] == '\t') {
		from++
	}
	for from < to && (b[to-1] == ' ' || b[to-1] == '\t') {
		to--
	}
	return from, to
}
