// Package refusal is the one table of the answers that the gateway itself makes: reason → stable code, status, fixed
// sentence and the party on whose account it goes. Everything on the request path refuses through Write, so that the
// same code stands in the body, the log and gateway_refused_total, and so that no client ever reads an internal message.
//
// A refusal is text/plain (`<sentence>` and a newline), or problem+json (RFC 9457) when the client's Accept names
// application/json or application/problem+json; wildcards do not count. A gRPC call, known by its content type, is refused
// by a trailers-only answer: status 200 with grpc-status and grpc-message, while metrics, log and exchange have the status
// of the table all the same. A refusal is never cached, and X-Request-Id is what to quote when asking why. Headers that
// belong to one reason (Allow, Retry-After, RateLimit, WWW-Authenticate) are set by the caller before Write.
//
// Metrics: gateway_refused_total{service,code}, see Counters.
package refusal

import "apigateway/dataplane/internal/exchange"

// Reason is why the gateway answers by itself. The zero value is BadRequest.
type Reason uint8

// The reasons, a closed set: one per stable code.
const (
	BadRequest          Reason = iota // malformed beyond what the other codes say
	BadContentLength                  // Content-Length with leading zeros, several, or beside Transfer-Encoding
	BadHost                           // Host missing, repeated or not a valid authority
	BadPathEscape                     // an escape in the path that would change its meaning once decoded
	TLSRequired                       // plain text on a port that speaks TLS
	AuthFailed                        // no, several, an unknown, an expired or an unauthorised key
	NoRoute                           // no service has this host and path
	MethodNotAllowed                  // the path is known but not the method, or CONNECT and TRACE
	RequestTimeout                    // head or body took too long
	BodyTooLarge                      // the body is over the service's max_body
	URITooLong                        // request line over its limit
	ExpectationFailed                 // an Expect other than 100-continue
	RateLimited                       // the client's bucket is empty
	HeaderTooLarge                    // head over its limit, or too many fields
	InternalError                     // a handler of the gateway panicked
	NotImplemented                    // unknown transfer coding
	UpstreamError                     // no backend could be reached, or its answer is malformed
	BreakerOpen                       // the service's circuit breaker is open
	NotConfigured                     // no snapshot yet
	UpstreamTimeout                   // the backend did not answer in time
	VersionNotSupported               // an HTTP version other than 1.0 and 1.1

	reasons // how many there are
)

// entry is one row of the table. inService: a service with a known name can be refused for it, so its series starts at zero.
type entry struct {
	code      string
	status    int
	sentence  string
	party     exchange.Party
	inService bool
}

var table = [reasons]entry{
	BadRequest:          {"bad_request", 400, "Bad Request", exchange.Client, true},
	BadContentLength:    {"bad_content_length", 400, "Bad Content-Length", exchange.Client, false},
	BadHost:             {"bad_host", 400, "Bad Host", exchange.Client, false},
	BadPathEscape:       {"bad_path_escape", 400, "Bad Path Escape", exchange.Client, false},
	TLSRequired:         {"tls_required", 400, "This Port Speaks TLS", exchange.Client, false},
	AuthFailed:          {"auth_failed", 401, "Authentication Failed", exchange.Client, true},
	NoRoute:             {"no_route", 404, "Not Found", exchange.Client, false},
	MethodNotAllowed:    {"method_not_allowed", 405, "Method Not Allowed", exchange.Client, false},
	RequestTimeout:      {"request_timeout", 408, "Request Timeout", exchange.Client, true},
	BodyTooLarge:        {"body_too_large", 413, "Body Too Large", exchange.Client, true},
	URITooLong:          {"uri_too_long", 414, "URI Too Long", exchange.Client, false},
	ExpectationFailed:   {"expectation_failed", 417, "Expectation Failed", exchange.Client, false},
	RateLimited:         {"rate_limited", 429, "Rate Limit Exceeded", exchange.Client, true},
	HeaderTooLarge:      {"header_too_large", 431, "Request Header Too Large", exchange.Client, false},
	InternalError:       {"internal_error", 500, "Internal Error", exchange.Gateway, true},
	NotImplemented:      {"not_implemented", 501, "Not Implemented", exchange.Client, false},
	UpstreamError:       {"upstream_error", 502, "Upstream Error", exchange.Upstream, true},
	BreakerOpen:         {"breaker_open", 503, "Service Unavailable", exchange.Gateway, true},
	NotConfigured:       {"not_configured", 503, "Not Configured", exchange.Gateway, false},
	UpstreamTimeout:     {"upstream_timeout", 504, "Upstream Timeout", exchange.Upstream, true},
	VersionNotSupported: {"version_not_supported", 505, "HTTP Version Not Supported", exchange.Client, false},
}

// Code returns the stable code: lower case with underscores, the same in body, log and metric.
func (r Reason) Code() string { return table[r].code }

// Status returns the status of the answer, 400 to 599.
func (r Reason) Status() int { return table[r].status }

// Party returns on whose account the refusal goes.
func (r Reason) Party() exchange.Party { return table[r].party }

// String returns the code.
func (r Reason) String() string { return table[r].code }

// Codes returns every code, in the order of the statuses. The caller owns the slice.
func Codes() []string {
	codes := make([]string, 0, reasons)
	for _, e := range table {
		codes = append(codes, e.code)
	}
	return codes
}

// byCode finds a reason by its code; it is never written after initialisation.
var byCode = func() map[string]Reason {
	m := make(map[string]Reason, reasons)
	for i, e := range table {
		m[e.code] = Reason(i)
	}
	return m
}()

// ByCode returns the reason with that code, false if there is none.
func ByCode(code string) (Reason, bool) {
	r, ok := byCode[code]
	return r, ok
}
