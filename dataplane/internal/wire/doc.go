// Package wire is the acceptance policy of the data plane: what is let in, in which one form it goes on, and what is
// written to a backend and back. HTTP/1.1 and HTTP/2 share it. It judges strings and net/http values and reads no
// socket; framing on the wire (chunks, line endings, lengths) is the protocol engine's.
//
// In the order of a request:
//
//	CheckRequest        refuses what is malformed or not supported, and rewrites r.URL to the canonical form
//	TrustedPeer, ClientIP, StripInbound, RequestID
//	                    whom to believe, and what no middleware may read
//	ParseHost           the host that is routed on
//	… the chain …
//	WebSocket           whether a tunnel is asked for
//	OutboundPath        checks the path again as the chain left it
//	AppendRequest, OutboundRequest
//	                    headers to the backend, as lines or in a map
//	ResponseHeader      headers back to the client
//
// What is not let in is a *Violation: a status, a stable code of package refusal, and a detail for the log that quotes
// what the client sent, shortened. For a request as it usually is nothing here allocates, but for the text of a new
// request id.
//
// Every function is safe for concurrent use as long as nobody else uses the request or header that it is given. Headers
// have keys in canonical form (http.CanonicalHeaderKey), as every parser of this data plane makes them.
//
// # What net/http hides
//
// Behind net/http's HTTP/1.1 server some of the policy cannot be seen here any more: it drops Content-Length beside
// Transfer-Encoding and Transfer-Encoding on HTTP/1.0, merges equal Content-Length lines, takes obs-fold and bare LF, and
// replaces Host by the authority of an absolute-form target. CheckRequest judges whatever is left of them in the request.
package wire
