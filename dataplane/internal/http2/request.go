package http2

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/wire"
)

// ServeHTTP serves one request. It panics with http.ErrAbortHandler where the stream has to be reset.
func (c *conn) ServeHTTP(inner http.ResponseWriter, r *http.Request) {
	if !c.begin() {
		panic(http.ErrAbortHandler)
	}
	defer c.finish()
	if c.requests.Add(1) >= c.set.MaxRequests || c.s.draining.Load() {
		c.leave() //nolint:contextcheck // it outlives the request
	}
	x := exchange.New(r.Context())
	x.ClientIP, x.Scheme, x.Start = c.peer, "http", time.Now()
	if c.secure {
		x.Scheme = "https"
	}
	r = r.WithContext(x)                                                                            //nolint:contextcheck // x is made of the request's context
	w := &Writer{stream: inner.(stream), header: inner.Header(), x: x, timeout: c.set.WriteTimeout} // net/http's own has all that
	r.Body = c.body(w, r)
	defer w.end()
	defer func() { //nolint:contextcheck // x is the context
		if value := recover(); value != nil {
			if value != http.ErrAbortHandler { //nolint:errorlint // a panic's value is compared as net/http does
				c.s.panicked(x, value, debug.Stack())
			}
			panic(http.ErrAbortHandler)
		}
	}()
	if v := check(r); v != nil {
		c.s.refuse(w, r, v)
		return
	}
	c.s.Handler.ServeHTTP(w, r)
}

// check judges the request and makes its URL, by package wire and by what net/http leaves open.
func check(r *http.Request) *wire.Violation {
	if hosts := r.Header["Host"]; len(hosts) > 1 {
		return bad(refusal.BadHost, "%d lines of Host", len(hosts))
	}
	if v := wire.CheckRequest(r); v != nil {
		return v
	}
	if lines := r.Header["Content-Length"]; len(lines) > 0 {
		if n, _ := wire.ParseContentLength(lines); n != r.ContentLength { // the stream ended with the head
			return bad(refusal.BadContentLength, "a body of %d bytes is announced, and none comes", n)
		}
	}
	delete(r.Header, "Host") // it is r.Host
	return nil
}

func bad(reason refusal.Reason, format string, args ...any) *wire.Violation {
	return &wire.Violation{Status: reason.Status(), Code: reason.Code(), Detail: fmt.Sprintf(format, args...)}
}

// body returns the request's body with package http1's limits on it.
func (c *conn) body(w *Writer, r *http.Request) *body {
	w.body = &body{
		src: r.Body, w: w, timeout: c.set.BodyTimeout,
		noRate: strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"),
	}
	return w.body
}
