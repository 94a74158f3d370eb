package h1

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// Request is what goes onto the wire. Nothing of it is kept.
type Request struct {
	Method  string
	Base    string // what is put in front of Path
	Path    string // in its escaped form; "/" at least
	Query   string // without the question mark
	Mark    bool   // a question mark though Query is empty
	Host    string
	Header  http.Header // without Host and framing
	Length  int64       // of the body; -1: chunked
	HasBody bool        // Length means something
}

// ErrRequest is a request that cannot be written: own middleware has put into it what HTTP does not allow.
var ErrRequest = errors.New("request that cannot be written")

// AppendRequest appends the head of a request (RFC 9112 section 3). It is an error if any part of it could be taken for
// more than it is.
func AppendRequest(b []byte, r *Request) ([]byte, error) {
	if r.Method == "" || !all(r.Method, tokenByte) {
		return b, fmt.Errorf("%w: method %.64q", ErrRequest, r.Method)
	}
	if !all(r.Base, visibleByte) || !all(r.Path, visibleByte) || !all(r.Query, visibleByte) {
		return b, fmt.Errorf("%w: target %.64q", ErrRequest, r.Path)
	}
	if !all(r.Host, visibleByte) {
		return b, fmt.Errorf("%w: host %.64q", ErrRequest, r.Host)
	}
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, r.Base...)
	b = append(b, r.Path...)
	if r.Query != "" || r.Mark {
		b = append(b, '?')
		b = append(b, r.Query...)
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, r.Host...)
	b = append(b, '\r', '\n')
	b, err := appendFields(b, r.Header)
	return append(appendFraming(b, r), '\r', '\n'), err
}

func appendFields(b []byte, header http.Header) ([]byte, error) {
	for name, values := range header {
		if name == "" || !all(name, tokenByte) {
			return b, fmt.Errorf("%w: header name %.64q", ErrRequest, name)
		}
		for _, value := range values {
			if !all(value, valueByte) {
				return b, fmt.Errorf("%w: value of %s", ErrRequest, name)
			}
			b = append(b, name...)
			b = append(b, ':', ' ')
			b = append(b, value...)
			b = append(b, '\r', '\n')
		}
	}
	return b, nil
}

// appendFraming appends what says where the request ends. A method that usually has a body says so if it has none
// (RFC 9110 section 8.6).
func appendFraming(b []byte, r *Request) []byte {
	switch {
	case r.HasBody && r.Length < 0:
		return append(b, "Transfer-Encoding: chunked\r\n"...)
	case r.HasBody:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.Length, 10)
		return append(b, '\r', '\n')
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		return append(b, "Content-Length: 0\r\n"...)
	default:
		return b
	}
}
