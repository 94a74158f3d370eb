package upstream

import (
	"net/http"
	"sync/atomic"

	"apigateway/dataplane/internal/upstream/h1"
)

// Client is the engine that speaks HTTP/1.1 itself, over package h1: the request's head and what is here of its body go
// out in one write, the response is read by the same goroutine, and another one runs only while a body streams. Nothing is
// repeated. The watch for a client that leaves begins once a request has waited for a while.
type Client struct {
	settings atomic.Pointer[TransportSettings]
	pool     *h1.Pool
}

// NewClient returns an engine. Close it.
func NewClient(s TransportSettings) *Client {
	s = s.withDefaults()
	c := &Client{pool: h1.NewPool(s.pool(), nil)}
	c.settings.Store(&s)
	return c
}

// Update changes the settings, for new requests. Connections that are idle stay.
func (c *Client) Update(s TransportSettings) {
	s = s.withDefaults()
	if old := c.settings.Swap(&s); *old != s {
		c.pool.Update(s.pool())
	}
}

// Close closes the idle connections. Those in use are closed when their requests end.
func (c *Client) Close() { c.pool.Close() }

func (s *TransportSettings) pool() h1.Settings {
	return h1.Settings{
		MaxIdle: s.MaxIdle, MaxIdlePerHost: s.MaxIdlePerHost, IdleTimeout: s.IdleTimeout,
		ConnectTimeout: s.ConnectTimeout, TLSHandshakeTimeout: s.TLSHandshakeTimeout,
	}
}

// Attempt is part of Engine.
func (c *Client) Attempt(w http.ResponseWriter, r *http.Request, a *Attempt) Outcome {
	f := rounds.Get().(*round)
	f.w, f.r, f.a, f.settings = w, r, a, c.settings.Load()
	defer f.end() // also of a panic in the writer
	return f.run(r.Context(), c.pool)
}
