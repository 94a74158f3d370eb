// Package http1 is the data plane's HTTP/1.1 server: RFC 9112 on the wire, http.Handler above it. The proxy's public listener is its user.
// It reads requests strictly (what is let in is package wire's policy), answers malformed ones itself with package refusal's codes, and
// leaves routing, middleware and backends to its Handler. HTTP/2 goes to another server, whose connections count here.
//
// # What a handler gets
//
//   - A *http.Request as from net/http, with these differences: URL.RawPath holds the canonical and URL.Path the decoded path
//     (wire.CheckRequest has been called), trailers are dropped, and r.Context() is an *exchange.Exchange with ClientIP (the peer's),
//     Scheme and Start set. Status is set when the handler sends its final head.
//   - A *Writer. It keeps the contract of net/http's: implicit 200, guessed Content-Type, a Content-Length for short answers and chunks for
//     long ones, Flush, Hijack, ReadFrom (splice and sendfile), http.ResponseController's deadlines, 103 and 100 by WriteHeader. Header lines
//     that would break the message are not sent. Response trailers are not either.
//     WriteFields takes a head's lines as they are where nobody can want to see them in the header.
//   - A body whose Read fails with a *wire.Violation if it is malformed, ErrBodyTimeout or ErrBodyTooSlow if the client is too slow, and
//     io.ErrUnexpectedEOF if it breaks off. It also has Buffered() int and WriteNTo(io.Writer, int64) (int64, error).
//   - Fresh objects for each request, unless Writer.Recycle allows to use them again.
//
// # What the client sees
//
// Requests are answered in order. 100 Continue goes out when the handler first reads the body. After a request that is refused, or whose body
// is malformed, the connection is closed and nothing behind it is parsed. Of a body that nobody read at most 64 KiB are read for at most 1 s,
// else the connection is closed. It is closed in halves, so that the client can read the answer. An answer that breaks off never looks
// complete.
//
// # Time
//
// Limits are in Settings. One goroutine of the server looks at all connections twice a second: time-outs come up to a second late, and a client that
// is gone is noticed within one, if somebody waits for the end of its request's context. Date is up to half a second old.
//
// A Server is safe for concurrent use once its fields are set. DESIGN.md tells why things are as they are.
package http1
