package http1

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/wire"
)

// socketOf returns the connection below TLS.
func socketOf(nc net.Conn) net.Conn {
	if secure, ok := nc.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return nc
}

// handshake ends TLS's handshake, if there is TLS, and gives HTTP/2 away.
func (c *conn) handshake(limit time.Duration) bool {
	secure, ok := c.nc.(*tls.Conn)
	if !ok {
		return true
	}
	c.out.within(limit)
	err := secure.Handshake()
	c.out.within(0)
	if err != nil {
		c.withoutTLS(err)
		return false
	}
	state := secure.ConnectionState()
	c.tls = &state
	if state.NegotiatedProtocol != "h2" {
		return true
	}
	if c.s.HTTP2 != nil {
		c.in.within(0)
		c.s.HTTP2.ServeConn(c.nc)
	}
	return false
}

// withoutTLS tells a client that speaks HTTP in plain text what it should do. Of its request the beginning was read and is lost.
func (c *conn) withoutTLS(err error) {
	if c.s.NoHandshake != nil {
		c.s.NoHandshake(c.remote, err)
	}
	var found tls.RecordHeaderError
	if !errors.As(err, &found) || found.Conn == nil || !looksLikeMethod(found.RecordHeader[:]) {
		return
	}
	c.nc, c.in.nc, c.out.nc = found.Conn, found.Conn, found.Conn
	c.in.within(0)
	t := newTurn(c)
	t.req.ProtoMajor, t.req.ProtoMinor = 1, 1
	t.begin()
	t.message.close = true
	c.settle(t, c.handle(t, bad(refusal.TLSRequired, "plain text on a port that speaks TLS")))
	t.end()
}

// looksLikeMethod reports whether b may be the beginning of a request line.
func looksLikeMethod(b []byte) bool {
	for i, char := range b {
		if char == ' ' && i > 0 {
			return true
		}
		if char < 'A' || char > 'Z' {
			return false
		}
	}
	return true
}

// switchToHTTP2 gives a connection that begins with HTTP/2's preface away (RFC 9113 section 3.3). v is what HTTP/1.1 says to that.
func (c *conn) switchToHTTP2(v *wire.Violation) bool {
	const preface = "PRI * HTTP/2.0\r\n"
	if c.s.HTTP2 == nil || v.Status != http.StatusHTTPVersionNotSupported || c.requests > 0 || !bytes.HasPrefix(c.in.bytes(), []byte(preface)) {
		return false
	}
	early := bytes.Clone(c.in.bytes())
	c.in.skip(len(early))
	c.in.release()
	c.busy.Store(false)
	c.s.HTTP2.ServeConn(&replay{Conn: c.nc, early: early})
	return true
}

// replay is a connection of which something was read already.
type replay struct {
	net.Conn
	early []byte
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.early) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.early)
	r.early = r.early[n:]
	return n, nil
}
