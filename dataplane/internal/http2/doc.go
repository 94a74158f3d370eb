// Package http2 serves HTTP/2 to clients: RFC 9113 on the wire by net/http, the data plane's own rules above it. The proxy gives it to its
// http1.Server, which hands connections over, by ALPN or by prior knowledge, and owns them.
//
// # What a handler gets
//
// The same as from package http1: a request that wire.CheckRequest has let in, whose context is an *exchange.Exchange with ClientIP (the
// peer's), Scheme and Start set; and a *Writer, which keeps net/http's contract but that whatever is called once the handler has returned
// fails and does not panic. Status is set when the handler sends its final head. Beyond HTTP/1.1, trailers pass: r.Trailer and
// http.TrailerPrefix are as in net/http. There is no Hijack and no Push. Nothing is used again for another request.
//
// # Who refuses what
//
// What is no HTTP/2 ends its stream or connection in net/http. It answers 400 to connection-specific headers and 431 to a head over 64 KiB by
// itself. CONNECT with :protocol is a PROTOCOL_ERROR. :scheme cannot be seen here: it may be http or https on any connection, and Scheme is
// the connection's. All else is package wire's: the Refuse hook answers, and the stream ends; where the client is still sending, with
// RST_STREAM NO_ERROR behind the answer. An answer that breaks off ends with RST_STREAM.
//
// # What bounds a client
//
// On a connection: 100 streams (SETTINGS_MAX_CONCURRENT_STREAMS), windows of 64 KiB for a stream and 1 MiB for all, frames of 16 KiB, heads of
// 64 KiB before they are judged. Streams that the client resets (CVE-2023-44487) keep their place until their handler has returned; at most
// 400 more wait for one, then the connection ends with ENHANCE_YOUR_CALM. CONTINUATION frames are read up to twice the head's limit, empty
// ones for as long as PING may be unanswered, and then end the connection, as do 10,000 control frames that the client makes us queue and does
// not read.
//
// Idle time, age and number of requests end a connection with GOAWAY: what was begun before is finished. A client that sends no frame for 30 s
// is asked for a sign of life, and cut 15 s later; one that takes nothing of an answer for Settings.WriteTimeout loses that stream, or the
// connection if nothing at all can be written. Bodies have package http1's limits. A slow client holds its own connection only.
//
// A Server is safe for concurrent use once its fields are set.
package http2
