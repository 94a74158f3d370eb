package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/upstream/h1"
	"apigateway/dataplane/internal/wire"
)

// The sizes of a round's buffer: a new one's, and the largest that is kept for the next round.
const (
	roundBuffer    = 8 << 10
	maxRoundBuffer = 16 << 10
)

// rounds keeps what attempts need for a moment.
var rounds = sync.Pool{New: func() any {
	return &round{buf: make([]byte, 0, roundBuffer)}
}}

// round is one attempt of a Client under way. It serves other attempts afterwards.
type round struct {
	w        http.ResponseWriter
	r        *http.Request
	a        *Attempt
	ctx      context.Context // of the request
	settings *TransportSettings

	conn     *h1.Conn // nil: none, or given back
	resp     h1.Response
	sender   *sender // of the rest of the request's body; nil: nothing is left of it
	unsent   error   // why the request was not written whole
	begun    time.Time
	deadline time.Time   // of the whole request; zero: none
	unwatch  func() bool // ends the watch for the client; nil: there is none yet

	limit time.Duration // of the present wait
	relay bool          // the head has been passed on, the body is waited for
	moved int64         // bytes of the body
	noted int64         // moved, when Late was last called
	quiet time.Time     // then, if nothing has moved since

	buf     []byte // the request, then the response
	piece   io.LimitedReader
	big     *[32 << 10]byte
	forward wire.Forward
	message h1.Request
}

func (f *round) run(ctx context.Context, pool *h1.Pool) Outcome {
	f.ctx = ctx
	if err := f.request(); err != nil {
		return Outcome{Failed: exchange.Gateway, Reason: refusal.InternalError, Err: err}
	}
	f.setDeadline()
	b := f.a.Backend
	conn, err := f.connect(ctx, pool.Host(b.slot, b.Scheme, b.Host, b.tls.config()))
	if err != nil {
		return f.unmade(err)
	}
	f.conn = conn
	if f.begun = f.a.Begun; !conn.Reused || f.begun.IsZero() {
		f.begun = time.Now()
	}
	f.limit = or(f.a.Settings.FirstByteTimeout, f.settings.FirstByteTimeout)
	latest := f.begun.Add(f.limit)
	if !f.deadline.IsZero() && f.deadline.Before(latest) {
		latest = f.deadline
	}
	if err = conn.Use(f, f.begun, latest); err == nil {
		err = f.send()
	}
	if err != nil {
		return f.failed(err)
	}
	f.resp.Reset(conn, f.buf[:cap(f.buf)])
	f.buf = nil
	runtime.Gosched() // whoever makes the answer may run before the read, which would find nothing
	return f.receive()
}

// request makes the head in the buffer.
func (f *round) request() (err error) {
	x, b, u := f.a.x, f.a.Backend, f.r.URL
	f.forward = wire.Forward{
		Peer: peerOf(f.r.RemoteAddr), Scheme: x.Scheme, Host: f.r.Host, RequestID: x.RequestID, Proto: f.r.ProtoMajor, WebSocket: f.a.WebSocket,
	}
	f.message = h1.Request{
		Method: f.r.Method, Base: b.Base, Path: f.a.Path, Query: u.RawQuery, Mark: u.ForceQuery, Host: f.r.Host,
		HasBody: f.a.Body != nil, Length: f.r.ContentLength,
	}
	if f.a.Settings.HostUpstream || f.r.Host == "" {
		f.message.Host = b.Host
	}
	if f.buf, err = h1.AppendRequest(f.buf[:0], &f.message); err != nil {
		return err
	}
	f.buf, err = wire.AppendRequest(f.buf, f.r.Header, &f.forward)
	f.buf = append(f.buf, "\r\n"...)
	return err
}

// peerOf returns the address of a connection's peer without its port.
func peerOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return host
}

// setDeadline finds out when the whole request has to be over: own middleware may have a say.
func (f *round) setDeadline() {
	f.deadline = f.a.Deadline
	if d, ok := f.ctx.Deadline(); ok && (f.deadline.IsZero() || d.Before(f.deadline)) {
		f.deadline = d
	}
}

func (f *round) connect(ctx context.Context, host *h1.Host) (*h1.Conn, error) {
	if !f.a.fresh {
		if conn := host.Idle(); conn != nil {
			return conn, nil
		}
	}
	if f.a.Deadline.IsZero() {
		return host.Connect(ctx, f.a.ConnectBy)
	}
	bounded, cancel := context.WithDeadlineCause(ctx, f.a.Deadline, errDeadline)
	defer cancel()
	conn, err := host.Connect(bounded, f.a.ConnectBy)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return nil, context.Cause(bounded)
	}
	return conn, err
}

// unmade says how an attempt without a connection ended.
func (f *round) unmade(err error) Outcome {
	o := f.failed(err)
	if o.Failed == exchange.Upstream && f.ctx.Err() == nil && !errors.Is(err, errDeadline) {
		o.Stage, o.Err = Unmade, dialError(err)
	}
	return o
}

// Late is part of h1.Owner. A wait that is worth a look at the clock is worth one at the client too.
func (f *round) Late(now time.Time) (time.Time, error) {
	f.watchClient()
	if !f.deadline.IsZero() && !now.Before(f.deadline) {
		return now, errDeadline
	}
	until, over := f.due(now)
	if !now.Before(until) {
		return now, over
	}
	if f.relay || f.sender != nil { // when it was that something last moved is known only as exactly as this
		if next := now.Add(f.limit / 4); next.Before(until) {
			until = next
		}
	}
	if !f.deadline.IsZero() && f.deadline.Before(until) {
		until = f.deadline
	}
	return until, nil
}

// due returns when the present wait is over, and what it is called then.
func (f *round) due(now time.Time) (time.Time, error) {
	switch {
	case f.relay:
		if f.moved != f.noted {
			f.noted, f.quiet = f.moved, now
		}
		return f.quiet.Add(f.limit), errSilent
	case f.sender != nil:
		since, client := f.sender.waiting(now)
		if client {
			since = now
		}
		return since.Add(f.limit), errFirstByte
	default:
		return f.begun.Add(f.limit), errFirstByte
	}
}

// clientGone ends an attempt whose request's context has ended.
type clientGone struct{ cause error }

func (e clientGone) Error() string { return "request's context ended: " + e.cause.Error() }
func (e clientGone) Unwrap() error { return e.cause }

// watchClient begins to watch for the end of the request's context.
func (f *round) watchClient() {
	if f.unwatch != nil {
		return
	}
	ctx, conn, done := f.ctx, f.conn, make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		conn.Interrupt(clientGone{context.Cause(ctx)})
	})
	f.unwatch = sync.OnceValue(func() bool {
		if stop() {
			return true
		}
		<-done // the request, and its context with it, may serve again once the handler has returned
		return false
	})
}

// failed says how an attempt without a response head ended.
func (f *round) failed(err error) Outcome {
	if o, ok := f.ended(err); ok {
		return o
	}
	o := Outcome{Failed: exchange.Upstream, Reason: refusal.UpstreamError, Err: err}
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		o.Reason = refusal.UpstreamTimeout
	case f.conn != nil && f.conn.Reused && !f.resp.Begun(): // it may have been dead before: not the backend's failure
		o.Stage, o.Failed = StaleConn, exchange.Gateway
		f.a.fresh = true
	}
	return o
}

// ended says whether the attempt was ended by the client, by a timeout, or from outside, and not by the backend.
func (f *round) ended(err error) (Outcome, bool) {
	if o, ok := f.a.Body.fault(f.ctx.Err() != nil); ok {
		return o, true
	}
	var timeout timeoutError
	var gone clientGone
	switch {
	case errors.Is(err, errCut):
		return Outcome{Failed: exchange.Gateway, Err: err}, true
	case errors.Is(err, errBodyLength):
		return Outcome{Failed: exchange.Gateway, Reason: refusal.InternalError, Err: err}, true
	case errors.As(err, &timeout):
		return Outcome{Failed: exchange.Upstream, Reason: refusal.UpstreamTimeout, Err: err}, true
	case errors.As(err, &gone), f.ctx.Err() != nil:
		if errors.Is(context.Cause(f.ctx), context.DeadlineExceeded) { // own middleware's
			return Outcome{Failed: exchange.Upstream, Reason: refusal.UpstreamTimeout, Err: err}, true
		}
		return Outcome{Failed: exchange.Client, Gone: true, Err: err}, true
	}
	return Outcome{}, false
}

// keep gives the connection back, if request and response are whole and nobody can still interrupt it.
func (f *round) keep() {
	if !f.resp.Reusable() || f.sender != nil || f.unsent != nil || f.unwatch != nil && !f.unwatch() {
		return
	}
	f.unwatch = nil
	f.conn.Put()
	f.conn = nil
}

// end frees what the attempt still has and makes the round ready for another one.
func (f *round) end() {
	if f.unwatch != nil {
		f.unwatch()
	}
	if f.conn != nil {
		_ = f.conn.Close()
	}
	if f.sender != nil { // its connection is closed
		f.a.Body.stop()
		<-f.sender.done
	}
	buf := f.buf
	if rest := f.resp.Release(); f.big != nil {
		buffers.Put(f.big)
	} else if buf == nil {
		buf = rest
	}
	if cap(buf) < roundBuffer || cap(buf) > maxRoundBuffer {
		buf = make([]byte, 0, roundBuffer)
	}
	*f = round{buf: buf, resp: f.resp}
	rounds.Put(f)
}
