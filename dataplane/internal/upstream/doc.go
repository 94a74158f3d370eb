// Package upstream is the last handler of every service's chain: it picks one of the service's URLs, makes an attempt at
// it, and tries again where nothing is lost by that.
//
// A Cluster is what a service keeps across configurations: its place in the round robin and a watch per URL, which passes
// a URL over after as many failures in a row as cb_failure_threshold says, for cb_reset_timeout, whether or not the chain
// has a circuit_breaker. When every URL is passed over, the one whose turn it is is used anyway. Cluster.Handler builds
// the handler of one configuration; nothing reachable from it changes but that live state.
//
// One attempt is one call of an Engine, which writes the answer itself and returns an Outcome that says how far it came.
// There are two, by the scheme of the URL: Client for http and https, which speaks HTTP/1.1 itself over package h1, and
// Transport for h2c and h2, which speaks HTTP/2 over package h2 and net/http. Engines is both as one. Their tests are the
// same wherever a test does not depend on the bytes on the wire.
//
// Handler is the loop above it:
//   - no connection: the next URL, as long as there is one and 10 s have not passed since the first attempt began;
//   - a reused connection that broke before any byte of the response: the same URL once more, if the method is idempotent
//     and the request has no body;
//   - a stream of which the backend says that it has not begun with it (GOAWAY, REFUSED_STREAM): the same URL once more,
//     then the next, if what is on its way of the body is known, which the first 16 KiB are;
//   - anything else is final.
//
// The exchange is settled, and the URL's watch told, once: when the response head has been written or cannot come. A 5xx
// status passes through and is a failure. What breaks in a body later is counted apart and ends in an aborted connection,
// never in a clean end.
//
// gRPC. A request whose content type is application/grpc, with or without a suffix, is a stream if HTTP/2 is spoken to
// every URL of the service: its body has no limit and no minimum rate, silence of either side ends it after
// stream_idle_timeout, and its first message may take that long too, unless the service has a first_byte_timeout other
// than the transport's. Messages are flushed as they come, trailers go through in both directions, and grpc-timeout is
// passed on: the backend and the client keep to it, not the gateway, as a client that asks for 1 ms must not make a
// failure of it. What the backend writes into grpc-status is no failure either; a status of 500 or more is.
//
// Settings: see Settings and TransportSettings. TLS to backends is that of Credentials, files which are read again when
// they change; connections are shared only by those whose TLS settings are the same.
//
// Responses of its own: 400 bad_request, 408 request_timeout and 413 body_too_large when the client's body is malformed,
// too slow or too large, which is never the backend's failure; 502 upstream_error; 504 upstream_timeout. A client that has
// left gets none.
//
// Metrics: gateway_proxy_canceled_total{service}, gateway_upstream_body_errors_total{service},
// gateway_upstream_tls_reload_errors_total.
//
// Everything exported is safe for concurrent use unless it says otherwise.
package upstream
