// Package chain composes a service's middleware into one handler. It is built once, when a snapshot is, so that a request
// pays only for the calls. It knows no middleware by name; the snapshot resolves names and decides the order.
package chain

import (
	"net/http"
	"slices"
)

// Middleware wraps a handler. next is never nil, and neither may be what it returns. It is called once per build, not per
// request; the handler that it returns is used concurrently.
type Middleware func(next http.Handler) http.Handler

// Build wraps last so that mws[0] sees the request first. Without middleware it returns last.
func Build(last http.Handler, mws ...Middleware) http.Handler {
	for _, mw := range slices.Backward(mws) {
		last = mw(last)
	}
	return last
}
