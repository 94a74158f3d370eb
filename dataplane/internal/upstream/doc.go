// Package upstream is the last handler of every service's chain: it picks one of the service's URLs, makes an attempt at
// it, and tries again where nothing is lost by that.
//
// A Cluster is what a service keeps across configurations: its place in the round robin and a watch per URL, which passes
// a URL over after as many failures in a row as cb_failure_threshold says, for cb_reset_timeout, whether or not the chain
// has a circuit_breaker. When every URL is passed over, the one whose turn it is is used anyway. Cluster.Handler builds
// the handler of one configuration; nothing reachable from it changes but that live state.
//
// One attempt is one call of an Engine, which writes the answer itself and returns an Outcome that says how far it came.
// There are two: Client, which speaks HTTP/1.1 itself over package h1, and Transport over net/http. They must behave
// alike but for what net/http takes that HTTP.md refuses; their tests are the same.
//
// Handler is the loop above it:
//   - no connection: the next URL, as long as there is one and 10 s have not passed since the first attempt began;
//   - a reused connection that broke before any byte of the response: the same URL once more, if the method is idempotent
//     and the request has no body;
//   - anything else is final.
//
// The exchange is settled, and the URL's watch told, once: when the response head has been written or cannot come. A 5xx
// status passes through and is a failure. What breaks in a body later is counted apart and ends in an aborted connection,
// never in a clean end.
//
// Settings: see Settings and TransportSettings.
//
// Responses of its own: 400 bad_request, 408 request_timeout and 413 body_too_large when the client's body is malformed,
// too slow or too large, which is never the backend's failure; 502 upstream_error; 504 upstream_timeout. A client that has
// left gets none.
//
// Metrics: gateway_proxy_canceled_total{service}, gateway_upstream_body_errors_total{service}.
//
// Everything exported is safe for concurrent use unless it says otherwise.
package upstream
