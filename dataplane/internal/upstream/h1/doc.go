// Package h1 is HTTP/1.1 on the wire to backends: connections and their pool, the strict parser of responses, and the
// framing of bodies. It knows neither services nor clients and decides nothing: package upstream makes an attempt of it.
//
// A Conn is used by one attempt at a time, on that attempt's goroutine; while a request's body streams, one more
// goroutine may write. Interrupt alone may be called from any goroutine.
//
// # Waiting
//
// Setting a deadline takes a clock reading and a lock in the runtime, and most attempts never wait long. So a Conn's
// deadline is a coarse one, up to half a second ahead and kept from attempt to attempt while it is good enough. When it
// passes, the Conn asks its Owner, who looks at the clock, at the client, and at the limits that really count, and says
// until when to wait on, or why not.
//
// # Responses
//
// Response parses in place, line by line, and refuses what HTTP.md lists. Field names are in canonical form. The lines that
// are passed on can be appended as they lie in the buffer (Head.AppendFields); strings are made of them only for who asks
// (Head.Fields), and share one copy of the head.
//
// # Pool
//
// Connections are kept per scheme, host and port, the one used last on top; where too many are idle, the one at the bottom
// goes. Before reuse each is looked at: one that is closed, or has bytes that nobody asked for, is not used again. An idle
// connection holds no buffer of ours.
package h1
