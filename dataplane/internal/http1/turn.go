package http1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"apigateway/dataplane/internal/exchange"
)

// turn is one request and its answer. The request's context is x, whose parent is ctx. An http.Request keeps its context to itself, so the
// request of a turn is made once and its fields are set anew for each message: blank, the request as it was made, is copied over them.
type turn struct {
	conn    *conn
	set     Settings
	message message
	req     *http.Request
	blank   http.Request
	url     url.URL
	header  http.Header // the request's
	values  []string    // the memory of its values
	ctx     requestContext
	x       exchange.Exchange
	w       Writer
	body    body
	recycle bool
}

var turns = sync.Pool{New: func() any {
	t := &turn{header: make(http.Header), w: Writer{header: make(http.Header)}}
	t.req = new(http.Request).WithContext(&t.x)
	t.blank = *t.req
	return t
}}

// newTurn returns a turn for the next request of c.
func newTurn(c *conn) *turn {
	t := turns.Get().(*turn)
	t.conn, t.set = c, c.s.settings()
	t.ctx.conn = c
	c.out.timeout, c.idle = t.set.WriteTimeout, t.set.IdleTimeout
	t.x.Context, t.x.Scheme, t.x.ClientIP = &t.ctx, "http", c.peer
	t.w.turn = t
	r := t.req
	r.URL, r.Header, r.Body = &t.url, t.header, http.NoBody
	r.RemoteAddr, r.TLS = c.remote, c.tls
	if c.tls != nil {
		t.x.Scheme = "https"
	}
	t.body.in = &c.in
	t.body.whole.Store(true)
	t.message.knownHost = c.knownHost
	return t
}

// begin makes the turn ready for the handler: the head is parsed.
func (t *turn) begin() {
	t.conn.knownHost = t.message.knownHost
	t.x.Start = time.Now()
	r := t.req
	if r.ContentLength == 0 {
		t.conn.in.behind()
		return
	}
	b := &t.body
	b.whole.Store(false)
	b.timeout = t.set.BodyTimeout
	b.chunked, b.left = t.message.chunked, max(r.ContentLength, 0)
	b.noRate = strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
	if t.message.continues {
		b.interim = t.w.sendContinue
		b.continues.Store(true)
	}
	r.Body = b
}

// lastOfConn reports whether no request follows on the connection, as far as that is known when the head of the answer goes out.
func (t *turn) lastOfConn() bool {
	c := t.conn
	unread := !t.body.whole.Load() && (t.body.continues.Load() || t.req.ContentLength > discardBytes)
	return t.message.close || unread || c.s.draining.Load() || c.requests >= t.set.MaxRequests || c.clock().now.Load()-c.since >= int64(t.set.MaxAge)
}

// end makes the turn ready for another request, if its handler allowed that. Nothing of this one stays.
func (t *turn) end() {
	if !t.recycle {
		return
	}
	t.recycle = false
	t.conn = nil
	t.message = message{}
	*t.req = t.blank
	t.url = url.URL{}
	clear(t.header)
	clear(t.values)
	t.ctx = requestContext{}
	t.x = exchange.Exchange{Context: context.Background()}
	t.w = Writer{header: t.w.header}
	clear(t.w.header)
	t.body = body{}
	turns.Put(t)
}

// handOver gives the connection to a hijacker.
func (t *turn) handOver() (net.Conn, *bufio.ReadWriter, error) {
	c := t.conn
	t.body.shut()
	c.detach()
	rest := bytes.Clone(c.in.bytes())
	c.in.skip(len(rest))
	c.in.release()
	if err := c.nc.SetDeadline(time.Time{}); err != nil {
		return c.nc, nil, err
	}
	var src io.Reader = c.nc
	if len(rest) > 0 {
		src = io.MultiReader(bytes.NewReader(rest), c.nc)
	}
	r := bufio.NewReader(src)
	if _, err := r.Peek(min(len(rest), r.Size())); err != nil {
		return c.nc, nil, err
	}
	return c.nc, bufio.NewReadWriter(r, bufio.NewWriter(c.nc)), nil
}
