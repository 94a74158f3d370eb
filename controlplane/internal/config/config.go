package config

import (
	"encoding/json"
	"net/netip"
	"time"
)

// Config is a configuration file without mistakes, every default filled in. Nobody changes it after Parse.
type Config struct {
	Port                  string         // public listen address, "host:port" or ":port"
	TrustedProxies        []netip.Prefix // peers whose forwarding headers are believed; none: nobody's
	PassUnderscoreHeaders bool           // pass header names with an underscore on, instead of dropping them
	MaxBody               int64          // default of Service.MaxBody
	Transport             Transport
	Listener              Listener
	TLS                   *TLS // of the public port; nil: plain HTTP
	Limits                Limits
	ForwardKey            bool               // leave X-API-KEY on the request for the backend
	Keys                  []Key              // in the order of the file; names and hashes are unique
	Middleware            []MiddlewareConfig // by name; only what is not built in
	Services              []Service          // in the order of the file; names are unique; at least one
}

// Transport bounds the connections to backends.
type Transport struct {
	MaxIdle             int64 // all backends together; 0: none is kept
	MaxIdlePerHost      int64 // 0: none is kept
	IdleTimeout         time.Duration
	ConnectTimeout      time.Duration
	TLSHandshakeTimeout time.Duration
	FirstByteTimeout    time.Duration // default of Service.FirstByteTimeout
	ReadTimeout         time.Duration // between two reads of an answer
}

// Listener bounds the connections from clients.
type Listener struct {
	HeadTimeout    time.Duration
	BodyTimeout    time.Duration // between two reads of a request's body
	IdleTimeout    time.Duration
	MaxRequests    int64 // on one connection
	MaxAge         time.Duration
	MaxConnections int64
}

// Limits bounds what one data plane keeps in memory.
type Limits struct {
	RateLimitBuckets int64
}

// Key is an API key of the file. Its secret is known by its hash only.
type Key struct {
	Name     string
	Hash     [32]byte // SHA-256 of the secret
	SecretID string   // what operators call the secret
	Line     int      // where it stands in the file, from 1
	Column   int
}

// MiddlewareConfig is what the file says to a middleware that is not built in.
type MiddlewareConfig struct {
	Name string
	JSON json.RawMessage // the mapping of the file, keys sorted
}

// Service is a route with its middleware and its backends.
type Service struct {
	Name               string
	Line               int // where it stands in the file, from 1
	RoutePattern       string
	URLs               []string // at least one
	Middleware         []string // the first sees the request first; none: open to the world
	RateLimitRPS       float64  // of one client, on one data plane
	RateLimitBurst     int64
	CBFailureThreshold int64
	CBResetTimeout     time.Duration
	MaxBody            int64 // bytes; 0: no bound
	FirstByteTimeout   time.Duration
	StreamIdleTimeout  time.Duration
	Timeout            time.Duration // of the whole request; 0: none
	UpstreamHost       bool          // send the URL's host to the backend, not the client's
	UpstreamTLS        UpstreamTLS
	WebSocket          bool
	RefuseEncodedSlash bool // refuse %2F in the path
}
