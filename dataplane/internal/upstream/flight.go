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
	"time"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/upstream/h2"
	"apigateway/dataplane/internal/wire"
)

// maxInterim bounds the interim responses to one request.
const maxInterim = 8

// flight is one attempt of a Transport under way.
type flight struct {
	w        http.ResponseWriter
	r        *http.Request
	a        *Attempt
	settings *TransportSettings
	ctx      context.Context // of the attempt: ends with the request's, and by the watchdog
	cancel   context.CancelCauseFunc
	dog      watchdog
	forward  wire.Forward
	begunAt  time.Time // when the connection stood

	mu      sync.Mutex // trace hooks run on the connection's goroutines
	reused  bool       // the connection has carried a request before
	sent    bool       // the head of the request is on its way
	begun   bool       // a byte of the response is here
	interim int
	landed  bool // RoundTrip has returned: the writer is the handler's again
}

// Attempt is part of Engine.
func (t *Transport) Attempt(w http.ResponseWriter, r *http.Request, a *Attempt) Outcome {
	f := &flight{w: w, r: r, a: a, settings: t.settings.Load()}
	// What goes to net/http is the attempt's own, context and header: a goroutine of its may still look at it when the
	// request has ended, and the request's serve the next one then.
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	defer follow(r.Context(), cancel)()
	if !a.Deadline.IsZero() {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadlineCause(ctx, a.Deadline, errDeadline)
		defer stop()
	}
	f.ctx, f.cancel = ctx, cancel
	if a.Stream {
		entry := a.Tunnels.add(a.x, f.cut)
		defer a.Tunnels.remove(entry)
	}
	conn, err := f.reserve(ctx, t.pool) //nolint:contextcheck // the attempt's own, which follows the request's
	if err != nil {
		return f.unmade(err)
	}
	f.reused, f.begunAt = conn.Use(), time.Now()
	f.dog = watchdog{cancel: cancel, firstByte: f.firstByte()}
	if a.Stream {
		f.dog.idle = a.Settings.streamIdle()
	}
	f.dog.backend()
	defer f.dog.rest()
	resp, err := conn.RoundTrip(f.request(ctx)) //nolint:contextcheck // likewise
	f.land()
	if err != nil {
		return f.failed(err, conn)
	}
	o := f.respond(resp)
	if o.Failed != exchange.None || !a.Body.complete() {
		cancel(nil) // first: Close would wait for the request, which may still wait for the client
	}
	_ = resp.Body.Close()
	return o
}

// follow ends an attempt with its request, until the function that it returns is called.
func follow(ctx context.Context, cancel context.CancelCauseFunc) (stop func()) {
	ended := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(ended)
		cancel(context.Cause(ctx))
	})
	return func() {
		if !unhook() {
			<-ended
		}
	}
}

// reserve finds a connection.
func (f *flight) reserve(ctx context.Context, pool *h2.Pool) (*h2.Conn, error) {
	b := f.a.Backend
	if !f.a.ConnectBy.IsZero() {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadlineCause(ctx, f.a.ConnectBy, errConnectBudget)
		defer stop()
	}
	return pool.Reserve(ctx, b.slotH2, h2.Target{Secure: b.secure(), Host: b.Host, Config: b.tls.config()})
}

// firstByte is how long the response's head may take. That of a gRPC call comes with its first message, which may have to
// happen first: unless the service has a bound of its own, it is as patient as the stream.
func (f *flight) firstByte() time.Duration {
	own := or(f.a.Settings.FirstByteTimeout, f.settings.FirstByteTimeout)
	if f.a.Stream && own == f.settings.FirstByteTimeout {
		return f.a.Settings.streamIdle()
	}
	return own
}

// request builds what goes to the backend.
func (f *flight) request(ctx context.Context) *http.Request {
	b := f.a.Backend
	out := &http.Request{
		Method: f.r.Method,
		URL:    &url.URL{Scheme: "http", Host: b.Host, Opaque: b.Base + f.a.Path, RawQuery: f.r.URL.RawQuery, ForceQuery: f.r.URL.ForceQuery},
		Header: make(http.Header, len(f.r.Header)+5),
		Host:   f.r.Host,
	}
	if b.secure() {
		out.URL.Scheme = "https"
	}
	if f.a.Settings.HostUpstream || out.Host == "" {
		out.Host = b.Host
	}
	if f.a.Body != nil {
		if f.a.replay == nil {
			f.a.replay = &replay{body: f.a.Body}
		}
		out.ContentLength = f.r.ContentLength
		out.Trailer = announced(f.r.Trailer)
		out.Body = &lease{replay: f.a.replay, dog: &f.dog, ended: f.unblock, from: f.r.Trailer, trailer: out.Trailer}
	}
	peer, _, err := net.SplitHostPort(f.r.RemoteAddr)
	if err != nil {
		peer = f.r.RemoteAddr
	}
	x := f.a.x
	f.forward = wire.Forward{Peer: peer, Scheme: x.Scheme, Host: f.r.Host, RequestID: x.RequestID, Proto: f.r.ProtoMajor}
	wire.OutboundRequest(out.Header, f.r.Header, &f.forward)
	own(out.Header)
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // net/http would send its own
	}
	return out.WithContext(httptrace.WithClientTrace(ctx, f.trace()))
}

// own makes the values of a header its own, as package wire shares them with the client's.
func own(h http.Header) {
	n := 0
	for _, values := range h {
		n += len(values)
	}
	all := make([]string, 0, n)
	for name, values := range h {
		all = append(all, values...)
		h[name] = all[len(all)-len(values) : len(all) : len(all)]
	}
}

// unblock ends the wait for a response that cannot come any more while the request still waits for the client: net/http
// would wait for both.
func (f *flight) unblock() {
	f.mu.Lock()
	begun := f.begun
	f.mu.Unlock()
	if !begun {
		f.cancel(errAborted)
	}
}

// trace watches how far the request comes.
func (f *flight) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		WroteHeaders: func() {
			f.mu.Lock()
			f.sent = true
			f.mu.Unlock()
		},
		GotFirstResponseByte: func() {
			f.mu.Lock()
			f.begun = true
			f.mu.Unlock()
		},
		Got1xxResponse: f.gotInterim,
	}
}

var (
	errInterims = fmt.Errorf("more than %d interim responses", maxInterim)
	errSwitch   = errors.New("response switches protocols unasked")
)

// gotInterim passes 103 on, to clients of HTTP/1.1 and later, and drops the others.
func (f *flight) gotInterim(status int, header textproto.MIMEHeader) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.interim++
	switch {
	case status == http.StatusSwitchingProtocols: // RFC 9113 section 8.6: there is none
		return errSwitch
	case f.interim > maxInterim:
		return errInterims
	case f.landed || status != http.StatusEarlyHints || !f.r.ProtoAtLeast(1, 1):
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

// land takes the writer back from the connection's goroutines.
func (f *flight) land() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.landed = true
}
