package http1

import (
	"net/http"
	"net/url"
	"strings"

	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/wire"
)

// message is what a request head says beyond its *http.Request.
type message struct {
	chunked    bool
	close      bool   // the client wants no further request
	keepAlive  bool   // HTTP/1.0 only: the client wants another one
	continues  bool   // it waits for 100 Continue
	knownHost  string // a host that was found valid before; kept from request to request
	coding     []string
	lengths    []string
	connection []string
	hosts      int
}

// build makes r, whose fields are zero but for URL and Header, from the head that b begins with. values is the memory of the header's
// values. What it returns as a violation leaves r as far as it came.
func (h *head) build(m *message, r *http.Request, b []byte, values []string) ([]string, *wire.Violation) {
	text := string(b) // the one copy that all strings of the request share
	*m = message{knownHost: m.knownHost}
	h.buildLine(r, text)
	values = h.buildHeader(m, r, text, values[:0])
	if m.hosts > 1 || m.hosts == 1 && r.Host == "" {
		return values, bad(refusal.BadHost, "%d lines of Host, the last is %q", m.hosts, r.Host)
	}
	v := m.check(r)
	if v == nil || v == wire.AnswerOptions {
		m.frame(r)
		m.readConnection(r)
	}
	return values, v
}

func (h *head) buildLine(r *http.Request, text string) {
	r.Method = commonMethod(h.method.of(text))
	r.RequestURI = h.target.of(text)
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, int(h.minor)
	if h.minor == 0 {
		r.Proto = "HTTP/1.0"
	}
}

// buildHeader fills r.Header and notes what the engine itself has to look at.
func (h *head) buildHeader(m *message, r *http.Request, text string, values []string) []string {
	for i := range h.fields[:h.count] {
		f := &h.fields[i]
		name, value := f.common, f.value.of(text)
		if name == "" {
			name = f.name.of(text)
		} else if name == "Host" {
			r.Host = value
			m.hosts++
			continue
		}
		values = append(values, value)
		lines := values[len(values)-1 : len(values) : len(values)]
		before := len(r.Header)
		r.Header[name] = lines
		if len(r.Header) == before {
			return h.buildRepeated(m, r, text, values[:0])
		}
		m.note(name, lines)
	}
	return values
}

// buildRepeated is buildHeader for a head that has a name twice, which is rare: it looks before it sets.
func (h *head) buildRepeated(m *message, r *http.Request, text string, values []string) []string {
	clear(r.Header)
	m.hosts = 0
	for i := range h.fields[:h.count] {
		f := &h.fields[i]
		name, value := f.name.of(text), f.value.of(text)
		if f.common == "Host" {
			r.Host = value
			m.hosts++
			continue
		}
		lines := append(r.Header[name], value)
		r.Header[name] = lines
		m.note(name, lines)
	}
	return values
}

func (m *message) note(name string, lines []string) {
	switch name {
	case "Content-Length":
		m.lengths = lines
	case "Transfer-Encoding":
		m.coding = lines
	case "Connection":
		m.connection = lines
	case "Expect":
		m.continues = true
	}
}

// check judges the request and makes its URL as wire.CheckRequest does. A usual one needs less than that: what the parser has seen is not
// looked at twice.
func (m *message) check(r *http.Request) *wire.Violation {
	target := r.RequestURI
	if target[0] != '/' || m.continues || m.coding != nil || r.Method == http.MethodConnect || r.Method == http.MethodTrace ||
		strings.IndexByte(target, '%') >= 0 || strings.IndexByte(target, '#') >= 0 {
		return wire.CheckRequest(r)
	}
	if m.hosts == 0 && r.ProtoMinor == 1 {
		return bad(refusal.BadHost, "no host")
	}
	if m.hosts == 1 && r.Host != m.knownHost {
		if _, _, v := wire.ParseHost(r.Host, ""); v != nil {
			return v
		}
		m.knownHost = strings.Clone(r.Host) // without the head that it is part of
	}
	if m.lengths != nil {
		if _, v := wire.ParseContentLength(m.lengths); v != nil {
			return v
		}
	}
	return originURL(r.URL, target)
}

// originURL makes u from a target that begins with a slash and has no escapes.
func originURL(u *url.URL, target string) *wire.Violation {
	path, query, found := strings.Cut(target, "?")
	path, v := wire.CanonicalPath(path)
	if v != nil {
		return v
	}
	*u = url.URL{Path: path, RawPath: path, RawQuery: query, ForceQuery: found && query == ""}
	if strings.IndexByte(path, '%') >= 0 { // browsers send brackets and the like raw
		u.Path, _ = url.PathUnescape(path) // a canonical path has no bad escapes
	}
	return nil
}

// frame says how the body is delimited (RFC 9112 section 6.3); everything in it was checked before.
func (m *message) frame(r *http.Request) {
	if m.chunked = m.coding != nil; m.chunked {
		delete(r.Header, "Transfer-Encoding") // where net/http has it
		r.TransferEncoding = m.coding
		r.ContentLength = -1
	} else if m.lengths != nil {
		r.ContentLength, _ = wire.ParseContentLength(m.lengths)
	}
	m.continues = m.continues && r.ProtoMinor == 1 && r.ContentLength != 0 // RFC 9110 section 10.1.1
}

// readConnection notes who wants the connection to end. Among others in Connection, close wins.
func (m *message) readConnection(r *http.Request) {
	for _, line := range m.connection {
		if line == "keep-alive" { // the usual one
			m.keepAlive = true
			continue
		}
		for option := range strings.SplitSeq(line, ",") {
			option = strings.Trim(option, " \t")
			m.close = m.close || strings.EqualFold(option, "close")
			m.keepAlive = m.keepAlive || strings.EqualFold(option, "keep-alive")
		}
	}
	m.close = m.close || r.ProtoMinor == 0 && !m.keepAlive
	r.Close = m.close
}

// commonMethod returns a usual method without a copy of the head that it is part of.
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
