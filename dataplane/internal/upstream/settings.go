package upstream

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"apigateway/dataplane/internal/breaker"
	"apigateway/dataplane/internal/upstream/h1"
	"apigateway/dataplane/internal/upstream/h2"
)

// Defaults of what Settings and TransportSettings leave at zero.
const (
	defaultStreamIdle = time.Hour
	defaultConnect    = 10 * time.Second
	defaultHandshake  = 10 * time.Second
	defaultFirstByte  = 30 * time.Second
	defaultRead       = 30 * time.Second
	defaultIdle       = 90 * time.Second
	defaultBody       = 30 * time.Second
	defaultMaxIdle    = 20_000
	defaultMaxPerHost = 5_000
)

// Settings are one service's.
type Settings struct {
	// URLs of the backends, in the order of the round robin: http, https, h2c or h2, a host, and a base path that is put in
	// front of the request's path. At least one; no two alike; no user, query or fragment.
	URLs []string

	TLS TLSFiles // to those of them with https or h2

	FailureThreshold int           // failures in a row until a URL is passed over; below 1 counts as 1
	ResetTimeout     time.Duration // for how long it is

	MaxBody           int64         // of a request, in bytes; 0: no limit
	BodyTimeout       time.Duration // between reads of a request's body; 0: 30 s
	FirstByteTimeout  time.Duration // from the request written until the response head; 0: the transport's
	StreamIdleTimeout time.Duration // silence after which a stream or tunnel ends; 0: 1 h
	Timeout           time.Duration // of the whole request, tunnels after their head excepted; 0: none

	HostUpstream bool // send the URL's host instead of the client's
	NoUpgrade    bool // treat a request for a WebSocket as an ordinary one
}

func (s *Settings) streamIdle() time.Duration { return or(s.StreamIdleTimeout, defaultStreamIdle) }

func (s *Settings) watch() breaker.Settings {
	return breaker.Settings{FailureThreshold: s.FailureThreshold, ResetTimeout: s.ResetTimeout}
}

// TransportSettings are those of all services together. Zero means the default.
type TransportSettings struct {
	MaxIdle             int           // connections kept idle, 20,000
	MaxIdlePerHost      int           // of them per host, 5,000
	IdleTimeout         time.Duration // after which an idle one is closed, 90 s
	ConnectTimeout      time.Duration // 10 s
	TLSHandshakeTimeout time.Duration // 10 s
	FirstByteTimeout    time.Duration // from the request written until the response head, 30 s
	ReadTimeout         time.Duration // between reads of a response's body that is no stream, 30 s
}

func (s TransportSettings) withDefaults() TransportSettings {
	return TransportSettings{
		MaxIdle:             or(s.MaxIdle, defaultMaxIdle),
		MaxIdlePerHost:      or(s.MaxIdlePerHost, defaultMaxPerHost),
		IdleTimeout:         or(s.IdleTimeout, defaultIdle),
		ConnectTimeout:      or(s.ConnectTimeout, defaultConnect),
		TLSHandshakeTimeout: or(s.TLSHandshakeTimeout, defaultHandshake),
		FirstByteTimeout:    or(s.FirstByteTimeout, defaultFirstByte),
		ReadTimeout:         or(s.ReadTimeout, defaultRead),
	}
}

// or returns v, or fallback if v is zero or negative.
func or[T int | time.Duration](v, fallback T) T {
	if v <= 0 {
		return fallback
	}
	return v
}

// Backend is one URL of a service, parsed. It never changes.
type Backend struct {
	URL    string // as configured
	Scheme string // http, https, h2c (HTTP/2 in cleartext) or h2 (HTTP/2 over TLS)
	Host   string // with the port if the URL has one
	Base   string // escaped path without a slash at its end, put in front of the request's path; "" for none

	tls    *credential // how TLS is spoken; nil: by default, or not at all
	slot   *h1.Slot    // where Client keeps its connections; nil: it looks each time
	slotH2 *h2.Slot    // where Transport does
}

// http2 reports whether HTTP/2 is spoken to the backend.
func (b *Backend) http2() bool { return b.Scheme == "h2c" || b.Scheme == "h2" }

// secure reports whether TLS is.
func (b *Backend) secure() bool { return b.Scheme == "https" || b.Scheme == "h2" }

// schemes are those that a backend's URL may have.
var schemes = []string{"http", "https", "h2c", "h2"}

func parseBackend(raw string) (Backend, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return Backend{}, fmt.Errorf("upstream: not a URL, got %q: %w", raw, err)
	case !slices.Contains(schemes, u.Scheme) || u.Hostname() == "":
		return Backend{}, fmt.Errorf("upstream: not an absolute URL, got %q (want http://, https://, h2c:// or h2://)", raw)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return Backend{}, fmt.Errorf("upstream: a URL with user, query or fragment, got %q (want scheme, host and path)", raw)
	}
	return Backend{
		URL: raw, Scheme: u.Scheme, Host: u.Host, Base: strings.TrimRight(u.EscapedPath(), "/"), slot: new(h1.Slot), slotH2: new(h2.Slot),
	}, nil
}
