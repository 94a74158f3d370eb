package pattern

import (
	"net/netip"
	"strings"
)

// CanonicalHost returns the form in which hosts are compared: a name in lower case without a final dot, an IPv4
// address, or an IPv6 address in brackets as RFC 5952 writes it. It takes no port, and allocates only if s is not in
// that form. ok is false if s is no valid host: a name has labels of 1 to 63 letters, digits, hyphens and underscores,
// 253 bytes in all, and if its last label is a number the whole has to be an IPv4 address.
func CanonicalHost(s string) (host string, ok bool) {
	if strings.HasPrefix(s, "[") {
		return canonicalIPv6(s)
	}
	s = strings.TrimSuffix(s, ".")
	if len(s) == 0 || len(s) > 253 {
		return "", false
	}
	label, digits, upper := 0, 0, false
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '.' && label > 0:
			label, digits = 0, 0
			continue
		case '0' <= c && c <= '9':
			digits++
		case 'A' <= c && c <= 'Z':
			upper = true
		case 'a' <= c && c <= 'z' || c == '-' || c == '_':
		default:
			return "", false
		}
		if label++; label > 63 {
			return "", false
		}
	}
	if label == 0 {
		return "", false
	}
	if label == digits {
		addr, err := netip.ParseAddr(s)
		return s, err == nil && addr.Is4()
	}
	if upper {
		s = strings.ToLower(s)
	}
	return s, true
}

func canonicalIPv6(s string) (host string, ok bool) {
	inner, ok := strings.CutSuffix(s[1:], "]")
	addr, err := netip.ParseAddr(inner)
	if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
		return "", false
	}
	var buf [64]byte
	b := append(addr.AppendTo(append(buf[:0], '[')), ']')
	if string(b) == s {
		return s, true
	}
	return string(b), true
}
