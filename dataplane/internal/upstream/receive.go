package upstream

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/upstream/h1"
	"apigateway/dataplane/internal/wire"
)

// receive reads heads until the final one and passes it on.
func (f *round) receive() Outcome {
	for interim := 0; ; {
		if err := f.resp.ReadHead(); err != nil {
			return f.failed(f.reason(err))
		}
		switch status := f.resp.Head.Status; {
		case status == http.StatusSwitchingProtocols:
			return f.switched()
		case status >= http.StatusOK:
			return f.answer()
		case status == http.StatusEarlyHints && f.r.ProtoAtLeast(1, 1):
			f.hints()
		}
		if interim++; interim > maxInterim {
			return f.failed(errInterims)
		}
	}
}

// reason returns why no head could be read. What stopped the request says more than the silence that followed.
func (f *round) reason(err error) error {
	if f.unsent != nil && errors.Is(err, io.EOF) {
		return f.unsent
	}
	return err
}

// switched is a 101.
func (f *round) switched() Outcome {
	if !f.a.WebSocket || !f.resp.Head.WebSocket {
		return f.failed(errSwitch)
	}
	if err := f.conn.Detach(); err != nil {
		return f.failed(err)
	}
	f.setHeader(false)
	backend := &switchedConn{Conn: f.conn, rest: f.resp.Rest()}
	if f.unwatch != nil {
		f.unwatch() // the tunnel notices by itself
	}
	return openTunnel(f.w, f.a, backend)
}

// switchedConn is a connection of which something behind the 101 has been read.
type switchedConn struct {
	*h1.Conn
	rest []byte
}

// Read is part of io.Reader.
func (c *switchedConn) Read(p []byte) (int, error) {
	if len(c.rest) > 0 {
		n := copy(p, c.rest)
		c.rest = c.rest[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// hints passes a 103 on.
func (f *round) hints() {
	h := f.w.Header()
	before := maps.Clone(h)
	f.setHeader(false)
	f.w.WriteHeader(http.StatusEarlyHints)
	clear(h)
	maps.Copy(h, before)
}

// setHeader adds the response's fields to the client's header, with the length of the body if that may be told.
func (f *round) setHeader(length bool) {
	h, fields := f.w.Header(), f.resp.Head.Fields()
	src, values := make(http.Header, len(fields)), make([]string, 0, len(fields))
	for _, field := range fields {
		values = append(values, field.Value)
		one := values[len(values)-1 : len(values) : len(values)]
		if length && field.Name == "Content-Length" { // only its one form was let in, so that the backend's text is ours
			h[field.Name] = one
		} else if before, ok := src[field.Name]; ok {
			src[field.Name] = append(slices.Clip(before), field.Value)
		} else {
			src[field.Name] = one
		}
	}
	wire.ResponseHeader(h, src)
}

// fieldWriter is a writer that takes the lines of a head as they are, as http1's does where nobody else may want to see or change them. It
// reports whether it did. length is -1 if it is not known or must not be told.
type fieldWriter interface {
	WriteFields(status int, length int64, fields wire.FieldSource) bool
}

// pass passes the final head on and settles the exchange. length is the body's, or what a HEAD would have been answered with; -1: unknown.
func (f *round) pass(length int64) {
	head := &f.resp.Head
	if head.Status == http.StatusNoContent || head.Status == http.StatusNotModified {
		length = -1
	}
	if w, ok := f.w.(fieldWriter); ok && !head.Named && f.a.Body.complete() && w.WriteFields(head.Status, length, head) {
		f.a.Answered(head.Status)
		return
	}
	f.setHeader(length >= 0)
	writeHead(f.w, f.r, f.a, head.Status)
}

// answer passes the final response on.
func (f *round) answer() Outcome {
	head := &f.resp.Head
	length := f.resp.Body(f.r.Method)
	stream := hasBody(f.r.Method, head.Status) && isStream(string(head.ContentType())) // up to 32 bytes without an allocation
	f.pass(length)
	f.limit, f.relay, f.noted = f.settings.ReadTimeout, true, -1
	var o Outcome
	if stream {
		o = f.copyStream()
	} else {
		o = f.copyBody(length < 0)
	}
	if o.Failed == exchange.None {
		f.finish()
	}
	return o
}

// copyStream copies the body of a response that goes on for as long as somebody listens. It can be cut from outside, until
// it ends.
func (f *round) copyStream() Outcome {
	f.limit = f.a.Settings.streamIdle()
	conn, rc := f.conn, http.NewResponseController(f.w)
	entry := f.a.Tunnels.add(f.a.x, func() {
		conn.Interrupt(errCut)
		_ = rc.SetWriteDeadline(time.Unix(1, 0)) // long ago: a client that does not read must not hold it
	})
	defer f.a.Tunnels.remove(entry)
	return f.copyBody(true)
}

// finish ends an attempt whose answer is complete.
func (f *round) finish() {
	early := !f.a.Body.complete()
	if f.sender != nil {
		f.stopSending(early)
	}
	f.keep()
}

// broken says how a body ended too early.
func (f *round) broken(err error) Outcome {
	if o, ok := f.ended(err); ok {
		return o
	}
	return Outcome{Failed: exchange.Upstream, Err: fmt.Errorf("response body: %w", err)}
}

// unwritten says why the answer could not be written on: the stream was cut, or the client is gone.
func (f *round) unwritten(err error) Outcome {
	if errors.Is(f.conn.Interrupted(), errCut) {
		return Outcome{Failed: exchange.Gateway, Err: errCut}
	}
	return Outcome{Failed: exchange.Client, Gone: true, Err: err}
}
