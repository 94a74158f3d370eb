package upstream

import "net/http"

// Engines are both engines as one: Client for backends with http and https, Transport for those with h2c and h2. A service
// may have both kinds.
type Engines struct {
	client    *Client
	transport *Transport
}

// NewEngines returns both engines. Close them.
func NewEngines(s TransportSettings) *Engines {
	return &Engines{client: NewClient(s), transport: NewTransport(s)}
}

// Update changes the settings, for new requests.
func (e *Engines) Update(s TransportSettings) {
	e.client.Update(s)
	e.transport.Update(s)
}

// Close closes connections. Requests must have ended.
func (e *Engines) Close() {
	e.client.Close()
	e.transport.Close()
}

// Attempt is part of Engine.
func (e *Engines) Attempt(w http.ResponseWriter, r *http.Request, a *Attempt) Outcome {
	if a.Backend.http2() {
		return e.transport.Attempt(w, r, a)
	}
	return e.client.Attempt(w, r, a)
}
