package snapshot

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"apigateway/dataplane/internal/breaker"
	"apigateway/dataplane/internal/certs"
	"apigateway/dataplane/internal/limiter"
	"apigateway/dataplane/internal/middleware/authapikey"
	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/upstream"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// Deps is what services are built with. All of it is shared by all of them.
type Deps struct {
	Keys    authapikey.Verifier
	Meters  prometheus.Registerer // nil: a registry of its own
	Custom  map[string]Factory    // own middleware by name; may be nil
	Tunnels *upstream.Tunnels     // nil: its own, see Live.Tunnels
	Log     *slog.Logger          // nil: slog.Default
}

// Live keeps what outlives configurations. Make it with NewLive.
type Live struct {
	Refused *refusal.Counters // of every answer that the gateway itself makes; those before routing go to service ""

	deps        Deps
	metrics     meters
	engines     *upstream.Engines
	credentials *upstream.Credentials
	began       time.Time
	onBreaker   atomic.Pointer[func(service string)]

	mu       sync.Mutex
	services map[string]*Service // as published
	settings []byte              // as published
	tls      *certs.Set          // as published; nil: plain HTTP
	budget   *limiter.Budget     // nil before the first build that limits
	pending  *Snapshot           // built and not published; nil: none
}

// parts are the live parts of one service. Those that its chain does not need are nil.
type parts struct {
	since   time.Time // of the first build
	cluster *upstream.Cluster
	refused *refusal.ServiceCounters
	buckets *limiter.Table
	rate    limiter.Rate // that buckets take over
	breaker *breaker.Breaker
}

// drop leaves out what a chain has no use for: a breaker that nobody asks would be shown open for ever.
func (p *parts) drop(chain []string) {
	if !slices.Contains(chain, "rate_limit") {
		p.buckets = nil
	}
	if !slices.Contains(chain, "circuit_breaker") {
		p.breaker = nil
	}
}

// NewLive registers the metrics of all services. It is an error if an own middleware has the name of a built-in one.
func NewLive(deps Deps) (*Live, error) {
	if deps.Meters == nil {
		deps.Meters = prometheus.NewRegistry()
	}
	if deps.Tunnels == nil {
		deps.Tunnels = new(upstream.Tunnels)
	}
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	for name := range deps.Custom {
		if _, taken := builtin[name]; taken {
			return nil, fmt.Errorf("middleware %q: the name of a built-in one", name)
		}
	}
	l := &Live{
		deps:     deps,
		engines:  upstream.NewEngines(upstream.TransportSettings{}),
		began:    time.Now(),
		services: map[string]*Service{},
	}
	if err := l.newMeters(deps.Meters); err != nil {
		return nil, err
	}
	l.credentials = upstream.NewCredentials(deps.Log, l.metrics.upstream)
	return l, nil
}

// Tunnels returns the tunnels and streams that are open.
func (l *Live) Tunnels() *upstream.Tunnels { return l.deps.Tunnels }

// Close closes the connections to backends. Requests must have ended.
func (l *Live) Close() {
	l.credentials.Close()
	l.engines.Close()
}

// now is the clock of the buckets: monotonic nanoseconds.
func (l *Live) now() int64 { return int64(time.Since(l.began)) }

// base returns the services that a build with these settings may take over as they are.
func (l *Live) base(settings []byte) map[string]*Service {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !bytes.Equal(l.settings, settings) {
		return nil
	}
	return l.services
}

// partsOf returns the live parts that a service has, with those that every service needs.
func (l *Live) partsOf(name string) parts {
	l.mu.Lock()
	old := l.services[name]
	l.mu.Unlock()
	if old != nil {
		return old.parts
	}
	return parts{
		since: time.Now(),
		cluster: upstream.NewCluster(name, upstream.Deps{
			Engine: l.engines, Credentials: l.credentials, Metrics: l.metrics.upstream, Tunnels: l.deps.Tunnels, Log: l.deps.Log,
			Watched: l.watched,
		}),
		refused: l.Refused.Service(name),
	}
}

// budgetFor returns the bound on buckets, which outlives configurations.
func (l *Live) budgetFor(s *gatewayv1.Settings) *limiter.Budget {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.budget == nil {
		l.budget = limiter.NewBudget(int(s.GetMaxBuckets()))
	}
	return l.budget
}

// setPending notes a build that is good. One before it that was never published is given up.
func (l *Live) setPending(next *Snapshot) {
	l.mu.Lock()
	before := l.pending
	l.pending = next
	l.mu.Unlock()
	if before != nil {
		l.abandon(before)
	}
}

// abandon releases what a build made that is never going to serve.
func (l *Live) abandon(s *Snapshot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, service := range s.built {
		serving := l.services[service.Name]
		if b := service.parts.buckets; b != nil && (serving == nil || serving.parts.buckets != b) {
			b.Close()
		}
		if serving == nil && (l.pending == nil || l.pending.services[service.Name] == nil) {
			l.forget(service.Name)
		}
	}
}

// adopt lets the live parts take over the settings of what is going to serve.
func (l *Live) adopt(next *Snapshot) {
	l.engines.Update(transportSettings(next.Settings.GetTransport()))
	l.budgetFor(next.Settings).Resize(int(next.Settings.GetMaxBuckets()))
	for _, s := range next.built {
		s.parts.cluster.Update(upstreamSettings(s.Config, next.Settings.GetListener()))
		if s.parts.buckets != nil {
			s.parts.buckets.Update(s.parts.rate, l.now())
		}
		if s.parts.breaker != nil {
			s.parts.breaker.Update(breakerSettings(s))
			l.metrics.breakers.Watch(s.Name, s.parts.breaker)
		}
	}
}

// release ends what served before and does not any more.
func (l *Live) release(next *Snapshot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, old := range l.services {
		var stays parts
		if s := next.services[name]; s != nil {
			stays = s.parts
		} else {
			l.forget(name)
		}
		if old.parts.buckets != nil && stays.buckets == nil {
			old.parts.buckets.Close()
		}
		if old.parts.breaker != nil && stays.breaker == nil {
			l.metrics.breakers.Forget(name)
		}
	}
	l.services, l.settings, l.tls = next.services, next.settings, next.TLS
	if l.pending == next {
		l.pending = nil
	}
}

// forget ends the series of a service.
func (l *Live) forget(name string) {
	l.metrics.limited.Forget(name)
	l.metrics.breakers.Forget(name)
	l.metrics.requests.Forget(name)
	l.metrics.upstream.Forget(name)
	l.Refused.Forget(name)
}
