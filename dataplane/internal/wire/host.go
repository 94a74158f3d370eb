package wire

import (
	"strings"

	"apigateway/proto/pattern"
)

// ParseHost takes a Host header or the authority of a target apart (RFC 9110 section 7.2). host is in the form that
// routes are compared in, see pattern.CanonicalHost: lower case, without a final dot. port is 1 to 65535, or 0 if there is
// none or it is the default of scheme, http or https. It does not allocate if s is in lower case.
func ParseHost(s, scheme string) (host string, port uint16, v *Violation) {
	name, digits, found := s, "", false
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		name, digits, found = s[:i], s[i+1:], true
	}
	host, ok := pattern.CanonicalHost(name)
	if !ok {
		return "", 0, badHost.because("not a host: %q", short(s))
	}
	if !found {
		return host, 0, nil
	}
	if port, ok = parsePort(digits); !ok {
		return "", 0, badHost.because("not a port from 1 to 65535: %q", short(s))
	}
	if port == 80 && scheme == "http" || port == 443 && scheme == "https" {
		port = 0
	}
	return host, port, nil
}

func parsePort(s string) (port uint16, ok bool) {
	if len(s) > 5 {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return uint16(n), 0 < n && n < 1<<16
}
