package upstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"sync"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/wire"
)

// maxInterim bounds the interim responses to one request.
const maxInterim = 8

// flight is one attempt under way.
type flight struct {
	w        http.ResponseWriter
	r        *http.Request
	a        *Attempt
	settings TransportSettings
	ctx      context.Context // of the attempt: the request's, ended by the watchdog too
	cancel   context.CancelCauseFunc
	dog      watchdog
	forward  wire.Forward

	mu        sync.Mutex // trace hooks run on the transport's goroutines
	connected bool
	reused    bool
	begun     bool // a byte of the response is here
	interim   int
	landed    bool // RoundTrip has returned: the writer is the handler's again
}

// Attempt is part of Engine.
func (t *Transport) Attempt(w http.ResponseWriter, r *http.Request, a *Attempt) Outcome {
	p := t.current.Load()
	f := &flight{w: w, r: r, a: a, settings: p.settings}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	if !a.Deadline.IsZero() {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadlineCause(ctx, a.Deadline, errDeadline)
		defer stop()
	}
	f.ctx, f.cancel = ctx, cancel
	f.dog = watchdog{cancel: cancel, firstByte: or(a.Settings.FirstByteTimeout, p.settings.FirstByteTimeout)}
	defer f.dog.rest()
	resp, err := p.RoundTrip(f.request(ctx))
	f.land()
	if err != nil {
		return f.failed(err)
	}
	defer func() { _ = resp.Body.Close() }()
	return f.respond(resp)
}

// request builds what goes to the backend.
func (f *flight) request(ctx context.Context) *http.Request {
	b := f.a.Backend
	out := &http.Request{
		Method:     f.r.Method,
		URL:        &url.URL{Scheme: b.Scheme, Host: b.Host, Opaque: b.Base + f.a.Path, RawQuery: f.r.URL.RawQuery, ForceQuery: f.r.URL.ForceQuery},
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     make(http.Header, len(f.r.Header)+5),
		Host:       f.r.Host,
	}
	if f.a.Settings.HostUpstream || out.Host == "" {
		out.Host = b.Host
	}
	if f.a.Body != nil {
		f.a.Body.dog = &f.dog
		out.Body, out.ContentLength = f.a.Body, f.r.ContentLength
	}
	peer, _, err := net.SplitHostPort(f.r.RemoteAddr)
	if err != nil {
		peer = f.r.RemoteAddr
	}
	x := f.a.x
	f.forward = wire.Forward{
		Peer: peer, Scheme: x.Scheme, Host: f.r.Host, RequestID: x.RequestID, Proto: f.r.ProtoMajor, WebSocket: f.a.WebSocket,
	}
	wire.OutboundRequest(out.Header, f.r.Header, &f.forward)
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // net/http would send its own
	}
	if !f.a.ConnectBy.IsZero() {
		ctx = context.WithValue(ctx, connectBy{}, f.a.ConnectBy)
	}
	return out.WithContext(httptrace.WithClientTrace(ctx, f.trace()))
}

// trace watches how far the request comes.
func (f *flight) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			f.mu.Lock()
			f.connected, f.reused = true, info.Reused
			f.mu.Unlock()
			f.dog.backend()
		},
		GotFirstResponseByte: func() {
			f.mu.Lock()
			f.begun = true
			f.mu.Unlock()
		},
		Got1xxResponse: f.gotInterim,
	}
}

var errInterims = fmt.Errorf("more than %d interim responses", maxInterim)

// gotInterim passes 103 on, to clients of HTTP/1.1 and later, and drops the others.
func (f *flight) gotInterim(status int, header textproto.MIMEHeader) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.interim++
	if f.interim > maxInterim {
		return errInterims
	}
	if f.landed || status != http.StatusEarlyHints || !f.r.ProtoAtLeast(1, 1) {
		return nil
	}
	h := f.w.Header()
	before := maps.Clone(h)
	wire.ResponseHeader(h, http.Header(header))
	f.w.WriteHeader(status)
	clear(h)
	maps.Copy(h, before)
	return nil
}

// land takes the writer back from the transport's goroutines.
func (f *flight) land() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.landed = true
}

// failed says how an attempt without a response head ended.
func (f *flight) failed(err error) Outcome {
	if o, ok := f.ended(err); ok {
		return o
	}
	f.mu.Lock()
	connected, stale := f.connected, f.connected && f.reused && !f.begun
	f.mu.Unlock()
	o := Outcome{Failed: exchange.Upstream, Reason: refusal.UpstreamError, Err: err}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		o.Reason = refusal.UpstreamTimeout
	}
	switch {
	case !connected:
		o.Stage, o.Err = Unmade, dialError(err)
	case stale: // it may have been dead before: not the backend's failure
		o.Stage, o.Failed = StaleConn, exchange.Gateway
	}
	return o
}

// ended says whether the attempt was ended by the client, by a timeout, or from outside, and not by the backend.
func (f *flight) ended(err error) (Outcome, bool) {
	if o, ok := f.a.Body.fault(f.r.Context().Err() != nil); ok {
		return o, true
	}
	if f.ctx.Err() == nil {
		return Outcome{}, false
	}
	cause := context.Cause(f.ctx)
	var timeout timeoutError
	switch {
	case errors.As(cause, &timeout), errors.Is(cause, context.DeadlineExceeded): // the latter: own middleware's
		return Outcome{Failed: exchange.Upstream, Reason: refusal.UpstreamTimeout, Err: cause}, true
	case errors.Is(cause, errCut):
		return Outcome{Failed: exchange.Gateway, Err: cause}, true
	default:
		return Outcome{Failed: exchange.Client, Gone: true, Err: err}, true
	}
}
