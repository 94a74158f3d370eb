package wire

import (
	"errors"
	"fmt"
	"net/http"

	"apigateway/dataplane/internal/wire/grammar"
)

// FieldSource is a head whose lines can be written without a header being made of them.
type FieldSource interface {
	// AppendFields appends lines in canonical form, each with its CRLF, without framing and hop-by-hop ones. hasDate says whether one is Date.
	AppendFields(b []byte) (lines []byte, hasDate bool)
}

// ErrField is a header that cannot be written: own middleware has put into it what HTTP does not allow.
var ErrField = errors.New("header that cannot be written")

// AppendRequest appends what OutboundRequest puts into a header, as lines with CRLF, without making one. On an error, what has been appended
// is worth nothing.
func AppendRequest(b []byte, src http.Header, f *Forward) ([]byte, error) {
	if namesFields(src["Connection"]) { // rare: which lines go is not known before the last one
		dst := make(http.Header, len(src)+len(f.values))
		OutboundRequest(dst, src, f)
		return appendHeader(b, dst)
	}
	var seen forwarded
	var err error
	for name, values := range src {
		if seen.take(name, values) || IsHopByHop(name) {
			continue
		}
		if b, err = appendField(b, name, values); err != nil {
			return b, err
		}
	}
	return f.append(b, &seen)
}

// forwarded is what a request says about where it comes from, before the gateway adds to it.
type forwarded struct{ by, proto, host, via, te []string }

// take keeps the values of a header that is not copied as it is.
func (s *forwarded) take(name string, values []string) bool {
	switch name {
	case "X-Forwarded-For":
		s.by = values
	case "X-Forwarded-Proto":
		s.proto = values
	case "X-Forwarded-Host":
		s.host = values
	case "Via":
		s.via = values
	case "Te":
		s.te = values
	case "X-Request-Id":
	default:
		return false
	}
	return true
}

// append appends what the gateway adds to every request.
func (f *Forward) append(b []byte, before *forwarded) (lines []byte, err error) {
	if lists(before.te, "trailers") {
		b = append(b, "Te: trailers\r\n"...)
	}
	if f.WebSocket {
		b = append(b, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	}
	via := "1.1 apigateway"
	if f.Proto >= 2 {
		via = "2.0 apigateway"
	}
	host := before.host
	if len(host) == 0 && f.Host != "" {
		f.values[0] = f.Host
		host = f.values[:1]
	}
	proto := before.proto
	if len(proto) == 0 {
		f.values[1] = f.Scheme
		proto = f.values[1:2]
	}
	if b, err = appendListed(b, "X-Forwarded-For", before.by, f.Peer); err != nil {
		return b, err
	}
	if b, err = appendField(b, "X-Forwarded-Proto", proto); err != nil {
		return b, err
	}
	if b, err = appendField(b, "X-Forwarded-Host", host); err != nil {
		return b, err
	}
	if b, err = appendListed(b, "X-Request-Id", nil, f.RequestID); err != nil {
		return b, err
	}
	return appendListed(b, "Via", before.via, via)
}

// appendListed appends a header of one line: the elements before it and one more.
func appendListed(b []byte, name string, before []string, last string) ([]byte, error) {
	b = append(append(b, name...), ": "...)
	from := len(b)
	for _, value := range before {
		b = append(append(b, value...), ", "...)
	}
	return endLine(append(b, last...), from, name)
}

// appendField appends a header's lines.
func appendField(b []byte, name string, values []string) (lines []byte, err error) {
	if !grammar.IsToken(name) {
		return b, fmt.Errorf("%w: name %.64q", ErrField, name)
	}
	for _, value := range values {
		b = append(append(b, name...), ": "...)
		from := len(b)
		if b, err = endLine(append(b, value...), from, name); err != nil {
			return b, err
		}
	}
	return b, nil
}

// endLine judges the value that begins at from, and ends its line.
func endLine(b []byte, from int, name string) ([]byte, error) {
	if !grammar.IsValue(b[from:]) {
		return b, fmt.Errorf("%w: value of %s", ErrField, name)
	}
	return append(b, "\r\n"...), nil
}

func appendHeader(b []byte, h http.Header) (lines []byte, err error) {
	for name, values := range h {
		if b, err = appendField(b, name, values); err != nil {
			return b, err
		}
	}
	return b, nil
}
