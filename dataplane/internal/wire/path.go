package wire

import (
	"bytes"
	"net/url"
	"strings"
)

// CanonicalPath returns the one form of a path that is routed on, authorised on and forwarded. raw is the path as it
// stands in the request target, without a query.
//
//   - Escapes of unreserved characters (RFC 3986 section 2.3) are decoded, once; all others keep their meaning and get
//     upper-case digits.
//   - The brackets, bar and circumflex that browsers send raw are escaped: url.URL takes no RawPath with a bar for valid and
//     would answer EscapedPath with one in which %2F has become a slash.
//   - Repeated slashes are merged, then dot segments removed: /a//../b is /b. A slash at the end stays, and path
//     parameters do.
//
// Refused are other bytes and bad escapes (bad_request); a backslash or NUL in an escape, and %2F where decoding it would
// make a dot segment (bad_path_escape). The result is a fixed point: its own canonical form. A path that is canonical
// already is returned as it is, without allocating.
func CanonicalPath(raw string) (string, *Violation) {
	if isCanonicalPath(raw) {
		return raw, nil
	}
	if raw == "" || raw[0] != '/' {
		return "", badRequest.because("path does not start with a slash: %q", short(raw))
	}
	path, v := normalizeEscapes(raw)
	if v != nil {
		return "", v
	}
	path, ok := removeDotSegments(path)
	if !ok {
		return "", badPathEscape.because("%%2F hides a dot segment: %q", short(raw))
	}
	if string(path) == raw {
		return raw, nil
	}
	return string(path), nil
}

// isCanonicalPath knows the usual canonical paths. Those with %2F it leaves to the full work.
func isCanonicalPath(raw string) bool {
	if raw == "" || raw[0] != '/' {
		return false
	}
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '/':
			if startsOddly(raw[i+1:]) {
				return false
			}
		case c == '%':
			if i+2 >= len(raw) || !isKeptEscape(raw[i+1], raw[i+2]) {
				return false
			}
			i += 2
		case byteClass[c]&pathByte == 0:
			return false
		}
	}
	return true
}

// startsOddly reports whether what is behind a slash begins with another slash or a dot segment.
func startsOddly(s string) bool {
	if s == "" || s[0] != '/' && s[0] != '.' {
		return false
	}
	segment, _, _ := strings.Cut(s, "/")
	return segment == "" || segment == "." || segment == ".."
}

// isKeptEscape reports whether %hl is an escape that stays as it is, whatever stands around it.
func isKeptEscape(h, l byte) bool {
	c, ok := unhex(h, l)
	upper := h < 'a' && l < 'a'
	return ok && upper && c != '/' && c != '\\' && c != 0 && byteClass[c]&unreservedByte == 0
}

// normalizeEscapes decodes what has to be decoded and escapes what has to be escaped, byte by byte.
func normalizeEscapes(raw string) ([]byte, *Violation) {
	const digits = "0123456789ABCDEF"
	path := make([]byte, 0, len(raw)+16)
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		class := byteClass[c]
		switch {
		case c == '%':
			if i+2 >= len(raw) {
				return nil, badRequest.because("path has a bad percent-escape: %q", short(raw[i:]))
			}
			decoded, ok := unhex(raw[i+1], raw[i+2])
			if !ok {
				return nil, badRequest.because("path has a bad percent-escape: %q", short(raw[i:]))
			}
			if decoded == '\\' || decoded == 0 {
				return nil, badPathEscape.because("path has %q", raw[i:i+3])
			}
			i += 2
			if byteClass[decoded]&unreservedByte != 0 {
				path = append(path, decoded)
			} else {
				path = append(path, '%', digits[decoded>>4], digits[decoded&15])
			}
		case class&pathByte != 0:
			path = append(path, c)
		case class&escapedByte != 0:
			path = append(path, '%', digits[c>>4], digits[c&15])
		default:
			return nil, badRequest.because("path has a byte that is not allowed: %q", short(raw[i:]))
		}
	}
	return path, nil
}

// removeDotSegments merges slashes and removes dot segments in place. ok is false if %2F hides one.
func removeDotSegments(path []byte) (clean []byte, ok bool) {
	clean = path[:0] // never overtakes the reading
	for len(path) > 0 {
		segment := path[1:]
		if end := bytes.IndexByte(segment, '/'); end >= 0 {
			segment = segment[:end]
		}
		last := len(path) == len(segment)+1
		path = path[len(segment)+1:]
		switch string(segment) {
		case "..":
			clean = clean[:max(bytes.LastIndexByte(clean, '/'), 0)]
			fallthrough
		case "", ".":
			if last {
				clean = append(clean, '/')
			}
			continue
		}
		if hidesDotSegment(segment) {
			return nil, false
		}
		clean = append(append(clean, '/'), segment...)
	}
	return clean, true
}

func hidesDotSegment(segment []byte) bool {
	for part := range bytes.SplitSeq(segment, []byte("%2F")) {
		if string(part) == "." || string(part) == ".." {
			return true
		}
	}
	return false
}

func unhex(h, l byte) (c byte, ok bool) {
	hi, lo := hexValue(h), hexValue(l)
	return hi<<4 | lo&15, hi < 16 && lo < 16
}

// hexValue returns the value of a hexadecimal digit, 255 if c is none.
func hexValue(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// checkQuery refuses bytes that would end or break a request line. A query is never decoded or judged beyond that.
func checkQuery(query string) *Violation {
	for i := range len(query) {
		if query[i] <= ' ' || query[i] > '~' {
			return badRequest.because("query has a byte that is not allowed: %q", short(query[i:]))
		}
	}
	return nil
}

// OutboundPath returns the canonical form of the path as the chain left it in u, for the request line to the backend; an
// empty one is "/". It checks the query too. A violation here is the fault of the middleware that rewrote the URL.
func OutboundPath(u *url.URL) (string, *Violation) {
	path, v := outboundPath(u)
	if v == nil {
		v = checkQuery(u.RawQuery)
	}
	return path, v
}

func outboundPath(u *url.URL) (string, *Violation) {
	if u.Path == u.RawPath && isCanonicalPath(u.Path) && strings.IndexByte(u.Path, '%') < 0 {
		return u.Path, nil // usual: nobody changed it, and it stands for itself
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return CanonicalPath(path)
}
