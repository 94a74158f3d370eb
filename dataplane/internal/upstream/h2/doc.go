// Package h2 keeps HTTP/2 connections to backends: in cleartext by prior knowledge, or over TLS, where ALPN has to give
// h2. Frames, streams and flow control are net/http's (http.ClientConn); what is here is which connection a request goes
// on, and when a new one is made.
//
// A request goes on the first connection that has room for it by the backend's SETTINGS_MAX_CONCURRENT_STREAMS. If none
// has, new ones are made, as many as those who wait need by what is known of the backend, and whoever waits takes the
// first stream that comes free, on a new connection or an old one. A connection carries no request before the backend's
// SETTINGS are here (RFC 9113 section 3.4), so that its limit is known and a backend that speaks something else is a
// failed connect, not a failed request.
//
// A connection on which no stream is open is closed after the idle time. One that the backend is leaving (GOAWAY) gets no
// more requests, nor does one that Retire was called for. A silent one is asked by PING whether it still stands after
// pingAfter, which is longer than gRPC servers take for an abuse.
//
// Nothing is repeated here. Everything exported is safe for concurrent use.
package h2
