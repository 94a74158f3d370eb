package wire

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// believed are the headers that say where a request comes from or went to: nobody but a trusted peer may send them.
// X-Forwarded-* is a prefix and stands apart. The names are in lower case.
var believed = [...]string{"forwarded", "x-real-ip", "x-original-url", "x-rewrite-url", "true-client-ip", "x-request-id"}

// StripInbound removes, before the chain, what an untrusted peer has no right to say: X-Forwarded-*, Forwarded, X-Real-IP,
// X-Original-URL, X-Rewrite-URL, True-Client-IP and X-Request-Id, in any case and with underscores for hyphens. X-Gateway-*
// is the gateway's own and removed whoever sends it: a load balancer that is trusted for X-Forwarded-For passes such a
// header on from its client. Via stays; it is appended to.
//
// Headers whose names have an underscore are dropped too unless underscores says that they may pass, and how many lines that were is
// returned: behind CGI and WSGI X_Forwarded_For and X-Forwarded-For are the same variable, so one could be forged by the other.
func StripInbound(h http.Header, trusted, underscores bool) (dropped int) {
	for name, values := range h {
		if !underscores && strings.IndexByte(name, '_') >= 0 {
			dropped += len(values)
			delete(h, name)
		} else if isForged(name, trusted) {
			delete(h, name)
		}
	}
	return dropped
}

func isForged(name string, trusted bool) bool {
	return isOurs(name) || !trusted && isBelieved(name)
}

func isOurs(name string) bool { return spelledPrefix(name, "x-gateway-") }

func isBelieved(name string) bool {
	if name == "" {
		return false
	}
	switch name[0] | 0x20 {
	case 'x', 'f', 't': // most names end here
	default:
		return false
	}
	if spelledPrefix(name, "x-forwarded") {
		return true
	}
	for _, lower := range believed {
		if spelled(name, lower) {
			return true
		}
	}
	return false
}

// TrustedPeer reports whether the peer of a connection lies in one of the prefixes. An IPv4 address mapped to IPv6 is the
// IPv4 address.
func TrustedPeer(peer netip.Addr, trusted []netip.Prefix) bool {
	peer = peer.Unmap().WithZone("")
	for _, p := range trusted {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}

// ClientIP returns the client's address: the peer's own, or if that is trusted, the rightmost address of X-Forwarded-For
// that is not; the leftmost one if all are. Behind an element that is no address nothing is believed. A port is ignored.
func ClientIP(peer netip.Addr, h http.Header, trusted []netip.Prefix) netip.Addr {
	client := peer.Unmap().WithZone("")
	for _, line := range slices.Backward(h["X-Forwarded-For"]) {
		for rest, more := line, true; more; {
			if !TrustedPeer(client, trusted) {
				return client
			}
			element := rest
			comma := strings.LastIndexByte(rest, ',')
			if more = comma >= 0; more {
				rest, element = rest[:comma], rest[comma+1:]
			}
			addr, ok := parseForwardedFor(trimSpace(element))
			if !ok {
				return client
			}
			client = addr
		}
	}
	return client
}

// parseForwardedFor takes an address as proxies write it: bare, in brackets, or with a port.
func parseForwardedFor(s string) (netip.Addr, bool) {
	if port := strings.LastIndexByte(s, ':'); strings.HasSuffix(s, "]") {
		s = strings.TrimPrefix(s[:len(s)-1], "[")
	} else if port >= 0 && (s[0] == '[' || strings.IndexByte(s, ':') == port) {
		addr, err := netip.ParseAddrPort(s)
		return addr.Addr().Unmap().WithZone(""), err == nil
	}
	addr, err := netip.ParseAddr(s)
	return addr.Unmap().WithZone(""), err == nil
}

// maxRequestID bounds the request id that is taken over from a trusted peer, in bytes.
const maxRequestID = 128

// RequestID returns the request's id: what X-Request-Id says if it is a single value of at most 128 visible ASCII
// characters, else 128 new random bits as 32 hexadecimal digits. Call it behind StripInbound, so that only a trusted peer
// is believed.
func RequestID(h http.Header) string {
	if values := h["X-Request-Id"]; len(values) == 1 && len(values[0]) <= maxRequestID && isVisible(values[0]) {
		return values[0]
	}
	var bits [16]byte
	binary.NativeEndian.PutUint64(bits[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(bits[8:], rand.Uint64())
	var text [32]byte
	hex.Encode(text[:], bits[:])
	return string(text[:])
}

func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}
