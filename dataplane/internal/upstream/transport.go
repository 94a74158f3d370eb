package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// maxResponseHead bounds a response's head, in bytes; maxFields its header lines.
const (
	maxResponseHead = 64 << 10
	maxFields       = 200
)

// Transport is the engine over net/http's transport: HTTP/1.1, connections kept per host, no proxy from the environment,
// no redirects, no decompression. net/http itself already repeats a GET, HEAD, OPTIONS or TRACE without a body on another
// connection when a reused one breaks, as often as that happens.
type Transport struct {
	current atomic.Pointer[pool]
}

// pool is a transport with the settings it was made for.
type pool struct {
	*http.Transport
	settings TransportSettings
}

// NewTransport returns an engine. Close it.
func NewTransport(s TransportSettings) *Transport {
	t := &Transport{}
	t.Update(s)
	return t
}

// Update changes the settings. If they are the same ones, nothing happens; otherwise new requests make new connections,
// and the idle ones are closed.
func (t *Transport) Update(s TransportSettings) {
	s = s.withDefaults()
	old := t.current.Load()
	if old != nil && old.settings == s {
		return
	}
	t.current.Store(newPool(s))
	if old != nil {
		old.CloseIdleConnections()
	}
}

// Close closes the idle connections. Those in use are closed when their requests end, if no request comes after.
func (t *Transport) Close() { t.current.Load().CloseIdleConnections() }

func newPool(s TransportSettings) *pool {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{Timeout: s.ConnectTimeout}
	return &pool{settings: s, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return dial(ctx, dialer, network, addr)
		},
		Protocols:              protocols,
		DisableCompression:     true,
		MaxIdleConns:           s.MaxIdle,
		MaxIdleConnsPerHost:    s.MaxIdlePerHost,
		IdleConnTimeout:        s.IdleTimeout,
		TLSHandshakeTimeout:    s.TLSHandshakeTimeout,
		MaxResponseHeaderBytes: maxResponseHead,
	}}
}

// connectBy is the context key of Attempt.ConnectBy: the transport dials with a context that keeps the request's values
// but not its end.
type connectBy struct{}

func dial(ctx context.Context, d *net.Dialer, network, addr string) (net.Conn, error) {
	if by, ok := ctx.Value(connectBy{}).(time.Time); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, by, errConnectBudget)
		defer cancel()
	}
	return d.DialContext(ctx, network, addr)
}

// What ends an attempt from within. They are the causes of its context's end.
var (
	errConnectBudget = timeoutError("all connects of one request together: no connection in time")
	errFirstByte     = timeoutError("no response head in time")
	errSilent        = timeoutError("response body: silent for too long")
	errDeadline      = timeoutError("request over the service's timeout")
	errCut           = errors.New("stream ended: its key is over or the gateway stops")
)

// timeoutError is a timeout of the backend's.
type timeoutError string

func (e timeoutError) Error() string { return string(e) }

// Timeout is part of net.Error's contract.
func (timeoutError) Timeout() bool { return true }
