package refusal

import (
	"net/http"
	"strconv"
	"strings"
)

// The gRPC status codes that refusals have (grpc/grpc: doc/statuscodes.md).
const (
	grpcUnknown           = 2
	grpcDeadlineExceeded  = 4
	grpcResourceExhausted = 8
	grpcUnimplemented     = 12
	grpcInternal          = 13
	grpcUnavailable       = 14
	grpcUnauthenticated   = 16
)

// grpcStatus is what a gRPC call is refused with, in the place of a status: what gRPC makes of one that comes from a proxy
// (doc/http-grpc-status-mapping.md), and where that is UNKNOWN what says more.
func grpcStatus(status int) int {
	switch status {
	case http.StatusUnauthorized:
		return grpcUnauthenticated
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return grpcUnimplemented
	case http.StatusTooManyRequests, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
		return grpcResourceExhausted
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return grpcUnavailable
	case http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return grpcDeadlineExceeded
	case http.StatusBadRequest, http.StatusInternalServerError, http.StatusExpectationFailed, http.StatusHTTPVersionNotSupported:
		return grpcInternal
	default:
		return grpcUnknown
	}
}

// isGRPC reports whether a request is a gRPC call, by its content type. gRPC-Web is something else.
func isGRPC(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	rest, ok := strings.CutPrefix(contentType[0], "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// trailersOnly makes of h the answer to a gRPC call that is refused. There is no body, so that the end comes with the
// head: only then does gRPC take the status from there.
func trailersOnly(h http.Header, reason Reason) {
	h.Set("Content-Type", "application/grpc")
	h.Set("Content-Length", "0")
	h.Set("Grpc-Status", strconv.Itoa(grpcStatus(reason.Status())))
	h.Set("Grpc-Message", table[reason].sentence) // plain ASCII: nothing to escape
}
