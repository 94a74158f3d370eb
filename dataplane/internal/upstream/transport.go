package upstream

import (
	"errors"
	"sync/atomic"

	"apigateway/dataplane/internal/upstream/h2"
)

// maxFields bounds a response's header lines.
const maxFields = 200

// Transport is the engine that speaks HTTP/2, in cleartext (h2c) or over TLS (h2): connections are package h2's, streams
// net/http's. Requests share connections as far as the backend allows streams on one, and new ones are made beyond that.
// Nothing is repeated. A WebSocket cannot be opened over it: the request goes on as an ordinary one.
type Transport struct {
	settings atomic.Pointer[TransportSettings]
	pool     *h2.Pool
}

// NewTransport returns an engine. Close it.
func NewTransport(s TransportSettings) *Transport {
	s = s.withDefaults()
	t := &Transport{pool: h2.NewPool(s.poolH2())}
	t.settings.Store(&s)
	return t
}

// Update changes the settings, for new requests and new connections.
func (t *Transport) Update(s TransportSettings) {
	s = s.withDefaults()
	if old := t.settings.Swap(&s); *old != s {
		t.pool.Update(s.poolH2())
	}
}

// Close closes all connections. Requests must have ended.
func (t *Transport) Close() { t.pool.Close() }

func (s *TransportSettings) poolH2() h2.Settings {
	return h2.Settings{
		IdleTimeout: s.IdleTimeout, ConnectTimeout: s.ConnectTimeout, TLSHandshakeTimeout: s.TLSHandshakeTimeout, WriteTimeout: s.ReadTimeout,
	}
}

// What ends an attempt from within. They are the causes of its context's end.
var (
	errConnectBudget = timeoutError("all connects of one request together: no connection in time")
	errFirstByte     = timeoutError("no response head in time")
	errSilent        = timeoutError("response body: silent for too long")
	errDeadline      = timeoutError("request over the service's timeout")
	errClientSilent  = errors.New("stream whose client said nothing for too long")
	errCut           = errors.New("stream ended: its key is over or the gateway stops")
)

// timeoutError is a timeout of the backend's.
type timeoutError string

func (e timeoutError) Error() string { return string(e) }

// Timeout is part of net.Error's contract.
func (timeoutError) Timeout() bool { return true }
