package upstream

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// isGRPC reports whether a request is a gRPC call. gRPC-Web is something else.
func isGRPC(h http.Header) bool {
	rest, ok := strings.CutPrefix(h.Get("Content-Type"), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// overdue reports whether the time that the client of a gRPC call gave it is over. A backend resets such a call, and that
// is no failure of the backend's: clients could open breakers with it.
func (f *flight) overdue(now time.Time) bool {
	if !f.a.Stream {
		return false
	}
	timeout, ok := grpcTimeout(f.r.Header.Get("Grpc-Timeout"))
	return ok && now.Sub(f.a.x.Start) >= timeout
}

// grpcTimeout reads a Grpc-Timeout: at most eight digits and a unit (grpc/grpc: doc/PROTOCOL-HTTP2.md). One that is longer
// than a time.Duration can be is no bound.
func grpcTimeout(v string) (time.Duration, bool) {
	if len(v) < 2 || len(v) > 9 {
		return 0, false
	}
	units := map[byte]time.Duration{
		'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
	}
	last := len(v) - 1
	unit, known := units[v[last]]
	n, err := strconv.ParseUint(v[:last], 10, 32)
	if !known || err != nil || time.Duration(n) > (1<<63-1)/unit {
		return 0, false
	}
	return time.Duration(n) * unit, true
}
