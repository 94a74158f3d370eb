package wire

import (
	"net/http"
	"slices"
	"strings"
)

// Forward is what the gateway says about a request to the backend. Its strings are put into the header as they are.
//
// The header that OutboundRequest writes keeps pointing into the Forward, so that setting five headers allocates
// nothing: neither copy nor reuse it before the request has been written.
type Forward struct {
	Peer      string // address of the connection's peer, without a port and without brackets
	Scheme    string // http or https, of the listener
	Host      string // the client's Host; "" if there was none
	RequestID string // see RequestID
	Proto     int    // major version of HTTP that the client spoke: 1 or 2
	WebSocket bool   // Upgrade: websocket goes on; see WebSocket

	values [8]string // one per header that may be set: TE, two for a tunnel, five always
	used   int
}

// one returns a header's only value, kept in f.
func (f *Forward) one(value string) []string {
	f.values[f.used] = value
	f.used++
	return f.values[f.used-1 : f.used : f.used]
}

// OutboundRequest writes to dst, which is empty, the header src as the backend gets it. Left out are Host and framing,
// which the writer makes anew; hop-by-hop headers: Keep-Alive, Proxy-*, TE (but trailers), Trailer, Upgrade, Expect; and
// what Connection names (RFC 9110 section 7.6.1), but never a credential or what the gateway sets, which a client could
// make disappear that way. X-Forwarded-For and Via are appended to; X-Forwarded-Proto and X-Forwarded-Host, as only a
// trusted peer's are left behind StripInbound, are set if missing; X-Request-Id is set.
//
// Values are shared between src and dst: their elements must not be changed afterwards.
func OutboundRequest(dst, src http.Header, f *Forward) {
	copyEndToEnd(dst, src)
	removeNamed(dst, src["Connection"])
	f.used = 0
	if lists(src["Te"], "trailers") {
		dst["Te"] = f.one("trailers")
	}
	if f.WebSocket {
		dst["Connection"] = f.one("Upgrade")
		dst["Upgrade"] = f.one("websocket")
	}
	f.setForwarded(dst)
}

// setForwarded sets what the gateway adds to every request.
func (f *Forward) setForwarded(dst http.Header) {
	if before := dst["X-Forwarded-For"]; len(before) > 0 {
		dst["X-Forwarded-For"] = f.one(strings.Join(before, ", ") + ", " + f.Peer)
	} else {
		dst["X-Forwarded-For"] = f.one(f.Peer)
	}
	if len(dst["X-Forwarded-Proto"]) == 0 {
		dst["X-Forwarded-Proto"] = f.one(f.Scheme)
	}
	if len(dst["X-Forwarded-Host"]) == 0 && f.Host != "" {
		dst["X-Forwarded-Host"] = f.one(f.Host)
	}
	dst["X-Request-Id"] = f.one(f.RequestID)
	via := "1.1 apigateway"
	if f.Proto >= 2 {
		via = "2.0 apigateway"
	}
	if before := dst["Via"]; len(before) > 0 {
		via = strings.Join(before, ", ") + ", " + via
	}
	dst["Via"] = f.one(via)
}

// ResponseHeader adds to dst the header src of a backend's response as the client gets it: without framing, hop-by-hop
// headers and what Connection names. A writer that knows the length sets Content-Length itself, also in the answer to
// HEAD, from the parsed length of the response. What dst already has stays; a header in both has both's values.
//
// Values may be shared between src and dst: their elements must not be changed afterwards.
func ResponseHeader(dst, src http.Header) {
	if names := src["Connection"]; namesFields(names) {
		end := make(http.Header, len(src))
		copyEndToEnd(end, src)
		removeNamed(end, names)
		src = end
	}
	copyEndToEnd(dst, src)
}

func copyEndToEnd(dst, src http.Header) {
	for name, values := range src {
		if IsHopByHop(name) {
			continue
		}
		if before, ok := dst[name]; ok {
			dst[name] = append(slices.Clip(before), values...)
		} else {
			dst[name] = slices.Clip(values)
		}
	}
}

// IsHopByHop reports whether a header is never copied from one side to the other, in any case and with underscores for hyphens: those of
// RFC 9110 section 7.6.1, and what the writer of a message makes itself.
func IsHopByHop[T string | []byte](name T) bool {
	switch len(name) {
	case len("te"):
		return spelled(name, "te")
	case len("host"):
		return spelled(name, "host")
	case len("expect"):
		return spelled(name, "expect")
	case len("trailer"):
		return spelled(name, "trailer") || spelled(name, "upgrade")
	case len("connection"):
		return spelled(name, "connection") || spelled(name, "keep-alive") || isProxy(name)
	case len("content-length"):
		return spelled(name, "content-length") || spelled(name, "http2-settings") || isProxy(name)
	case len("transfer-encoding"):
		return spelled(name, "transfer-encoding") || isProxy(name)
	}
	return isProxy(name)
}

func isProxy[T string | []byte](name T) bool { return spelledPrefix(name, "proxy-") }

// credentials are the headers that Connection cannot remove: without them a request would be somebody else's.
var credentials = [...]string{"x-api-key", "authorization", "cookie", "set-cookie", "via"}

// isProtected reports whether a header stays although Connection names it. Host and framing are the writer's anyway.
func isProtected(name string) bool {
	for _, lower := range credentials {
		if spelled(name, lower) {
			return true
		}
	}
	return isOurs(name) || isBelieved(name)
}

// removeNamed removes from h what Connection's values name. It looks at each name once: a client chooses how many.
func removeNamed(h http.Header, connection []string) {
	if !namesFields(connection) {
		return
	}
	listed(connection, func(name string) bool {
		if !isProtected(name) {
			delete(h, http.CanonicalHeaderKey(name))
		}
		return true
	})
}

// namesFields reports whether Connection names anything but what is dealt with anyway.
func namesFields(connection []string) (found bool) {
	listed(connection, func(name string) bool {
		found = !IsHopByHop(name) && !spelled(name, "close")
		return !found
	})
	return found
}
