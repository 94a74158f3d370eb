package config

import (
	"net/netip"
	"time"

	"gopkg.in/yaml.v3"
)

// object is the settings that one mapping of the file may have, in the order in which they are read.
type object[T any] []setting[T]

// setting is one name in a mapping.
type setting[T any] struct {
	name     string
	fallback string // default, as it would be written in the file; "" if there is none to write
	note     string // what stands in its place in the table of settings
	want     string // what may be written
	meaning  string
	required bool
	reset    func(dst *T) // fills in the default
	decode   func(d *decoder, p *place, dst *T)
	nested   []Setting // what stands in the table of settings instead of this one
}

const (
	ms  = time.Millisecond
	day = 24 * time.Hour
)

var globalSettings = object[Config]{
	scalar("port", ":8080", listenAddress(), func(c *Config) *string { return &c.Port },
		"public listen address of data planes that are started without `--listen`; a change takes effect when they restart"),
	list("trusted_proxies", span{0, 1024}, network(), func(c *Config) *[]netip.Prefix { return &c.TrustedProxies },
		"peers whose `X-Forwarded-*` headers are believed"),
	scalar("underscore_headers", "drop", choice("drop", "pass"), func(c *Config) *bool { return &c.PassUnderscoreHeaders },
		"what becomes of request headers with an underscore in their name"),
	scalar("max_body", "10MiB", size(), func(c *Config) *int64 { return &c.MaxBody },
		"largest request body, for services that do not say otherwise"),
	nested("transport", transportSettings, func(c *Config) *Transport { return &c.Transport }),
	nested("listener", listenerSettings, func(c *Config) *Listener { return &c.Listener }),
	{name: "tls", decode: decodeTLS, nested: tlsSettings.describe()},
	nested("limits", limitSettings, func(c *Config) *Limits { return &c.Limits }),
	{name: "middleware_config", decode: decodeMiddlewareConfig, nested: middlewareRows()},
	{name: "services", decode: decodeServices, want: serviceCount.String() + " services", required: true, meaning: "the routes, each with the settings of a service"},
}

var transportSettings = object[Transport]{
	scalar("max_idle", "20000", integer(0, 1e6), func(t *Transport) *int64 { return &t.MaxIdle },
		"idle connections kept to all backends together"),
	scalar("max_idle_per_host", "5000", integer(0, 1e6), func(t *Transport) *int64 { return &t.MaxIdlePerHost },
		"idle connections kept to one backend"),
	scalar("idle_timeout", "90s", duration(ms, day, ""), func(t *Transport) *time.Duration { return &t.IdleTimeout },
		"how long an idle connection is kept"),
	scalar("connect_timeout", "10s", duration(ms, time.Hour, ""), func(t *Transport) *time.Duration { return &t.ConnectTimeout },
		"bound on a connect"),
	scalar("tls_handshake_timeout", "10s", duration(ms, time.Hour, ""), func(t *Transport) *time.Duration { return &t.TLSHandshakeTimeout },
		"bound on a TLS handshake"),
	scalar("first_byte_timeout", "30s", duration(ms, day, ""), func(t *Transport) *time.Duration { return &t.FirstByteTimeout },
		"bound on the wait for an answer to begin, for services that do not say otherwise"),
	scalar("read_timeout", "30s", duration(ms, day, ""), func(t *Transport) *time.Duration { return &t.ReadTimeout },
		"bound on the wait between two reads of an answer"),
}

var listenerSettings = object[Listener]{
	scalar("head_timeout", "10s", duration(ms, time.Hour, ""), func(l *Listener) *time.Duration { return &l.HeadTimeout },
		"bound on a whole request head"),
	scalar("body_timeout", "30s", duration(ms, day, ""), func(l *Listener) *time.Duration { return &l.BodyTimeout },
		"bound on the wait between two reads of a request body"),
	scalar("idle_timeout", "60s", duration(ms, day, ""), func(l *Listener) *time.Duration { return &l.IdleTimeout },
		"how long an idle connection is kept"),
	scalar("max_requests", "10000", integer(1, 1e9), func(l *Listener) *int64 { return &l.MaxRequests },
		"requests after which a connection ends"),
	scalar("max_age", "1h", duration(time.Second, 30*day, ""), func(l *Listener) *time.Duration { return &l.MaxAge },
		"age after which a connection ends"),
	scalar("max_connections", "10000", integer(1, 1e6), func(l *Listener) *int64 { return &l.MaxConnections },
		"open connections of one data plane"),
}

var limitSettings = object[Limits]{
	scalar("rate_limit_buckets", "1000000", integer(1, 1e8), func(l *Limits) *int64 { return &l.RateLimitBuckets },
		"clients that one data plane tells apart for `rate_limit`, all services together"),
}

var apiKeySettings = object[Config]{
	{
		name: "valid_keys", decode: decodeKeys, want: "a list of keys: text, {name, key} or {name, sha256}", note: "none",
		meaning: "keys of the file, beside those of the store",
	},
	scalar("forward_key", "false", boolean(), func(c *Config) *bool { return &c.ForwardKey },
		"leave `X-API-KEY` on the request for the backend"),
}

var serviceSettings = object[Service]{
	required("name", itemName(), func(s *Service) *string { return &s.Name }, "unique; names the service to operators and in metrics"),
	{name: "route_pattern", decode: decodePattern, want: "[METHOD ][HOST]/PATH", required: true, meaning: "which requests it takes"},
	{name: "urls", decode: decodeURLs, want: urlCount.String() + " URLs, " + urlForm, required: true, meaning: "its backends, asked in turn"},
	{name: "middleware", decode: decodeMiddleware, want: "names, each once", note: "none", meaning: "its chain, the first sees the request first"},
	scalar("rate_limit_rps", "100", number("more than 0, at most 1e9", func(v float64) bool { return v > 0 && v <= 1e9 }),
		func(s *Service) *float64 { return &s.RateLimitRPS }, "requests per second of one client, on each data plane; fractions allowed"),
	scalar("rate_limit_burst", "200", integer(1, 1e9), func(s *Service) *int64 { return &s.RateLimitBurst },
		"requests that one client may make at once, on each data plane"),
	scalar("cb_failure_threshold", "5", integer(1, 1e6), func(s *Service) *int64 { return &s.CBFailureThreshold },
		"failures in a row that open the circuit breaker"),
	scalar("cb_reset_timeout_seconds", "10", seconds(0.001, 86400), func(s *Service) *time.Duration { return &s.CBResetTimeout },
		"how long the circuit breaker stays open before one request tries again; fractions allowed"),
	inherited("max_body", "the global one", size(), func(s *Service) *int64 { return &s.MaxBody }, "largest request body"),
	inherited("first_byte_timeout", "transport's", duration(ms, day, ""), func(s *Service) *time.Duration { return &s.FirstByteTimeout },
		"bound on the wait for an answer to begin; raise it for long polling"),
	scalar("stream_idle_timeout", "1h", duration(ms, 30*day, ""), func(s *Service) *time.Duration { return &s.StreamIdleTimeout },
		"how long a tunnel or stream may be idle"),
	scalar("timeout", "0s", duration(ms, day, "none"), func(s *Service) *time.Duration { return &s.Timeout },
		"bound on a whole request"),
	scalar("host", "client", choice("client", "upstream"), func(s *Service) *bool { return &s.UpstreamHost },
		"whose Host the backend is sent: the client's, or the one of its URL"),
	upstreamTLS(),
	scalar("websocket", "true", boolean(), func(s *Service) *bool { return &s.WebSocket }, "let WebSocket upgrades through"),
	scalar("encoded_slash", "pass", choice("pass", "refuse"), func(s *Service) *bool { return &s.RefuseEncodedSlash },
		"what becomes of a request with `%2F` in its path"),
}

// scalar is a setting of one value. Its default is written as in the file.
func scalar[T, V any](name, fallback string, k kind[V], field func(*T) *V, meaning string) setting[T] {
	s := inherited(name, "", k, field, meaning)
	s.fallback = fallback
	v, err := k.parse(fallback)
	if err != nil {
		panic("config: default of " + name + ": " + err.Error()) // a table in this file is wrong: no input gets here
	}
	s.reset = func(dst *T) { *field(dst) = v }
	return s
}

// inherited is a setting of one value whose default is another setting, filled in by who reads the mapping.
func inherited[T, V any](name, note string, k kind[V], field func(*T) *V, meaning string) setting[T] {
	return setting[T]{name: name, note: note, want: k.want, meaning: meaning, decode: func(d *decoder, p *place, dst *T) {
		if v, ok := k.decode(d, p); ok {
			*field(dst) = v
		}
	}}
}

// required is a setting of one value that has no default.
func required[T, V any](name string, k kind[V], field func(*T) *V, meaning string) setting[T] {
	s := inherited(name, "", k, field, meaning)
	s.required = true
	return s
}

// list is a setting of several values of one kind, by default none.
func list[T, V any](name string, limit span, k kind[V], field func(*T) *[]V, meaning string) setting[T] {
	return setting[T]{name: name, note: "none", want: limit.String() + ": " + k.want, meaning: meaning, decode: func(d *decoder, p *place, dst *T) {
		d.items(p, limit, func(item *place) {
			if v, ok := k.decode(d, item); ok {
				*field(dst) = append(*field(dst), v)
			}
		})
	}}
}

// nested is a mapping inside a mapping.
func nested[T, V any](name string, settings object[V], field func(*T) *V) setting[T] {
	return setting[T]{
		name: name, nested: settings.describe(),
		reset:  func(dst *T) { settings.reset(field(dst)) },
		decode: func(d *decoder, p *place, dst *T) { settings.decode(d, p, field(dst)) },
	}
}

// reset fills in the defaults.
func (o object[T]) reset(dst *T) {
	for i := range o {
		if o[i].reset != nil {
			o[i].reset(dst)
		}
	}
}

// decode reads the mapping at p into dst, which holds the defaults. It goes in the order of the settings, not of the
// file: a setting may build on those before it.
func (o object[T]) decode(d *decoder, p *place, dst *T) {
	o.decodeSecret(d, p, dst, false)
}

// decodeSecret is decode for a mapping in which a secret might stand where a name is expected.
func (o object[T]) decodeSecret(d *decoder, p *place, dst *T, secret bool) {
	found := make([]*place, len(o))
	ok := d.fields(p, secret, func(key *yaml.Node, value *place) {
		for i := range o {
			if o[i].name == key.Value {
				found[i] = value
				return
			}
		}
		d.unknown(p, key, o.names(), secret)
	})
	if !ok {
		return
	}
	for i := range o {
		switch s := &o[i]; {
		case found[i] != nil:
			s.decode(d, found[i], dst)
		case s.required:
			missing := &place{parent: p, node: p.node, field: s.name}
			d.mistake(missing, "missing (want %s)", s.want)
		}
	}
}

func (o object[T]) names() []string {
	names := make([]string, len(o))
	for i := range o {
		names[i] = o[i].name
	}
	return names
}
