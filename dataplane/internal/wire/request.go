package wire

import (
	"net/http"
	"net/url"
	"strings"
)

// Limits of a request's head.
const (
	MaxRequestLine = 8 << 10  // bytes of method, target and version with their separators and line end
	MaxHead        = 32 << 10 // bytes of the head without its last line
	MaxFields      = 100      // lines of the header
)

// CheckRequest judges a request as a server made it and writes its target's canonical form into r.URL: RawPath holds
// the canonical path, Path the decoded one, RawQuery the query byte for byte; scheme and host of an absolute form are
// gone. r.RequestURI stays as it was sent. The result is nil for a request that is let in, and AnswerOptions for
// OPTIONS *. r.URL is changed only if the result is nil. An HTTP/1.0 request without Host gets the authority of its target.
func CheckRequest(r *http.Request) *Violation {
	for _, check := range [...]func(*http.Request) *Violation{
		checkRequestLine, checkHeader, checkHost, checkFraming, checkExpect, canonicalTarget,
	} {
		if v := check(r); v != nil {
			return v
		}
	}
	return nil
}

func checkRequestLine(r *http.Request) *Violation {
	switch {
	case r.ProtoMajor == 1 && r.ProtoMinor <= 1 || r.ProtoMajor == 2 && r.ProtoMinor == 0:
	case r.ProtoMajor < 1:
		return badRequest.because("HTTP version %d.%d", r.ProtoMajor, r.ProtoMinor)
	default:
		return versionNotSupported.because("HTTP version %d.%d", r.ProtoMajor, r.ProtoMinor)
	}
	if n := requestLine(r); n > MaxRequestLine {
		return uriTooLong.because("request line of %d bytes", n)
	}
	if !isToken(r.Method) {
		return badRequest.because("method is not a token: %q", short(r.Method))
	}
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		return methodNotAllowed.because("method %s", r.Method)
	}
	return nil
}

func requestLine(r *http.Request) int {
	return len(r.Method) + len(" ") + len(r.RequestURI) + len(" HTTP/1.1\r\n")
}

func checkHeader(r *http.Request) *Violation {
	fields, size := 0, requestLine(r)
	if r.Host != "" {
		fields, size = 1, size+len("Host: \r\n")+len(r.Host)
	}
	for name, values := range r.Header {
		if !isToken(name) {
			return badRequest.because("header name is not a token: %q", short(name))
		}
		fields += len(values)
		for _, value := range values {
			if !all(value, valueByte) {
				return badRequest.because("header %s has a control character: %q", short(name), short(value))
			}
			size += len(name) + len(": \r\n") + len(value)
		}
	}
	if fields > MaxFields || size > MaxHead {
		return headerTooLarge.because("%d header fields, head of %d bytes", fields, size)
	}
	return nil
}

// checkHost wants one valid host, which only HTTP/1.0 may leave out. HTTP/2's :authority is in r.Host; a Host beside it
// has to be the same (RFC 9113 section 8.3.1).
func checkHost(r *http.Request) *Violation {
	for _, other := range r.Header["Host"] {
		if other != r.Host {
			return badHost.because("second host %q beside %q", short(other), short(r.Host))
		}
	}
	if r.Host == "" {
		if r.ProtoAtLeast(1, 1) {
			return badHost.because("no host")
		}
		return nil
	}
	_, _, v := ParseHost(r.Host, "")
	return v
}

func checkFraming(r *http.Request) *Violation {
	length, coding := r.Header["Content-Length"], r.Header["Transfer-Encoding"]
	if len(coding) == 0 {
		coding = r.TransferEncoding // where net/http puts it
	}
	if len(coding) > 0 {
		if len(length) > 0 {
			return badContentLength.because("Content-Length beside Transfer-Encoding")
		}
		if r.ProtoMajor != 1 || r.ProtoMinor == 0 {
			return badRequest.because("Transfer-Encoding on HTTP/%d.%d", r.ProtoMajor, r.ProtoMinor)
		}
		return CheckTransferEncoding(coding)
	}
	if len(length) == 0 {
		return nil
	}
	_, v := ParseContentLength(length)
	return v
}

func checkExpect(r *http.Request) *Violation {
	for _, expectation := range r.Header["Expect"] {
		if !strings.EqualFold(expectation, "100-continue") {
			return expectationFailed.because("expectation %q", short(expectation))
		}
	}
	return nil
}

// canonicalTarget judges the target's four forms (RFC 9112 section 3.2) and makes r.URL from it.
func canonicalTarget(r *http.Request) *Violation {
	if strings.IndexByte(r.RequestURI, '#') >= 0 {
		return badRequest.because("fragment in the target: %q", short(r.RequestURI))
	}
	target, query, hasQuery := strings.Cut(r.RequestURI, "?")
	if target == "*" && r.Method == http.MethodOptions && !hasQuery {
		return AnswerOptions
	}
	if !strings.HasPrefix(target, "/") {
		path, v := originForm(r, target)
		if v != nil {
			return v
		}
		if path == "" && r.Method == http.MethodOptions && !hasQuery {
			return AnswerOptions // RFC 9112 section 3.2.4
		}
		if target = path; target == "" {
			target = "/"
		}
	}
	path, v := CanonicalPath(target)
	if v != nil {
		return v
	}
	if v := checkQuery(query); v != nil {
		return v
	}
	return setURL(r, url.URL{RawPath: path, RawQuery: query, ForceQuery: hasQuery && query == ""})
}

// setURL completes u with the decoded path and makes it r's.
func setURL(r *http.Request, u url.URL) *Violation {
	u.Path = u.RawPath
	if strings.IndexByte(u.RawPath, '%') >= 0 {
		decoded, err := url.PathUnescape(u.RawPath)
		if err != nil {
			return badRequest.because("path: %v", err)
		}
		u.Path = decoded
	}
	if r.URL == nil {
		r.URL = new(url.URL)
	}
	*r.URL = u
	return nil
}

// originForm returns the path of an absolute-form target, "" if it has none. Its scheme has to be the listener's and its
// authority the Host.
func originForm(r *http.Request, target string) (path string, v *Violation) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	got, rest, found := strings.Cut(target, "://")
	if !found || !strings.EqualFold(got, scheme) || r.ProtoMajor != 1 {
		return "", badRequest.because("target is neither a path nor an absolute URL of scheme %s: %q", scheme, short(target))
	}
	authority := rest
	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		authority, path = rest[:slash], rest[slash:]
	}
	host, port, v := ParseHost(authority, scheme) // userinfo is in no valid host
	if v != nil {
		return "", badRequest.because("authority of the target: %s", v.Detail)
	}
	if r.Host == "" { // HTTP/1.0
		r.Host = authority
		return path, nil
	}
	wantHost, wantPort, v := ParseHost(r.Host, scheme)
	if v != nil || host != wantHost || port != wantPort {
		return "", badRequest.because("authority of the target %q is not the host %q", short(authority), short(r.Host))
	}
	return path, nil
}
