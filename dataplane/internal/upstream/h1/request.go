package h1

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"apigateway/dataplane/internal/wire/grammar"
)

// Request is what goes onto the wire. Nothing of it is kept.
type Request struct {
	Method  string
	Base    string // what is put in front of Path
	Path    string // in its escaped form; "/" at least
	Query   string // without the question mark
	Mark    bool   // a question mark though Query is empty
	Host    string
	Length  int64 // of the body; -1: chunked
	HasBody bool  // Length means something
}

// ErrRequest is a request that cannot be written: own middleware has put into it what HTTP does not allow.
var ErrRequest = errors.New("request that cannot be written")

// AppendRequest appends the beginning of a request's head (RFC 9112 section 3): its first line, Host and framing. Other
// fields and an empty line have to follow. It is an error if any part of it could be taken for more than it is.
func AppendRequest(b []byte, r *Request) ([]byte, error) {
	if !grammar.IsToken(r.Method) {
		return b, fmt.Errorf("%w: method %.64q", ErrRequest, r.Method)
	}
	if !isVisible(r.Base) || !isVisible(r.Path) || !isVisible(r.Query) {
		return b, fmt.Errorf("%w: target %.64q", ErrRequest, r.Path)
	}
	if !isVisible(r.Host) {
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
	return appendFraming(b, r), nil
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
