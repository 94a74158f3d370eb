package wire

import (
	"strconv"
	"strings"
)

// ParseContentLength returns the length that the lines of Content-Length give: one line of 1 to 19 digits without leading
// zeros, at most 2^63-1. RFC 9110 section 8.6 would allow repeated equal values.
func ParseContentLength(values []string) (int64, *Violation) {
	if len(values) != 1 {
		return 0, badContentLength.because("%d lines of Content-Length", len(values))
	}
	s := values[0]
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, badContentLength.because("not a length: %q", short(s))
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || s[0] == '0' && len(s) > 1 {
		return 0, badContentLength.because("not a length: %q", short(s))
	}
	return n, nil
}

// CheckTransferEncoding lets the lines of Transfer-Encoding pass if they are a single chunked, in any case. A coding that
// is not supported is a 501; chunked twice, not last, or with parameters, and everything malformed is a 400.
func CheckTransferEncoding(values []string) *Violation {
	if len(values) == 1 && strings.EqualFold(values[0], "chunked") {
		return nil
	}
	text := strings.Join(values, ",")
	unknown, chunked := false, false
	for coding := range strings.SplitSeq(text, ",") {
		coding = trimSpace(coding)
		switch {
		case !isToken(coding) || chunked:
			return badRequest.because("bad Transfer-Encoding: %q", short(text))
		case strings.EqualFold(coding, "chunked"):
			chunked = true
		default:
			unknown = true
		}
	}
	if unknown {
		return notImplemented.because("unknown transfer coding: %q", short(text))
	}
	return badRequest.because("bad Transfer-Encoding: %q", short(text))
}
