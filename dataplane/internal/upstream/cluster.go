package upstream

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apigateway/dataplane/internal/breaker"
)

// Deps is what clusters need from the data plane; all services share it.
type Deps struct {
	Engine  Engine
	Metrics *Metrics
	Tunnels *Tunnels
	Log     *slog.Logger // tells each attempt at level debug; nil: slog.Default()
	// Credentials holds what the files of Settings.TLS say. nil: the cluster's own, which are never closed.
	Credentials *Credentials
	// Watched is told of each change of a URL's watch, on the request's goroutine; it must not block. nil: nobody is.
	Watched func(service, url string, now breaker.Status)
}

// Cluster is the live state of one service's backends. It outlives configurations; make it with NewCluster.
type Cluster struct {
	service string
	deps    Deps
	series  *series
	turn    atomic.Uint32 // of the round robin; wraps

	mu      sync.Mutex
	targets map[string]*target // by URL, those of builds that never came to serve included
	serving []*target          // of the last Update, in the order of its URLs
}

// target is one URL and what is known of it.
type target struct {
	Backend
	watch *breaker.Breaker
}

// NewCluster returns the cluster of a service that has no URLs yet. Its series exist at zero from now on.
func NewCluster(service string, deps Deps) *Cluster {
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	if deps.Credentials == nil {
		deps.Credentials = NewCredentials(deps.Log, deps.Metrics)
	}
	return &Cluster{
		service: service,
		deps:    deps,
		series:  deps.Metrics.service(service),
		targets: make(map[string]*target),
	}
}

// Handler builds the handler of one configuration. URLs that the cluster knows keep their watch. Nothing changes for
// requests that are served by other handlers of the cluster; call Update once this one serves.
func (c *Cluster) Handler(s Settings) (http.Handler, error) {
	s.URLs = slices.Clone(s.URLs)
	backends, err := c.backends(&s)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	targets := make([]*target, len(backends))
	for i, b := range backends {
		t := c.targets[b.URL]
		switch {
		case t == nil:
			t = c.newTarget(b, &s)
		case t.tls != b.tls: // requests of before may still be on their way with the old settings
			t = &target{Backend: b, watch: t.watch}
		}
		c.targets[b.URL] = t
		targets[i] = t
	}
	http1 := func(t *target) bool { return !t.http2() }
	return &handler{cluster: c, settings: &s, targets: targets, grpc: !slices.ContainsFunc(targets, http1)}, nil
}

// backends returns what the settings name. Files of TLS settings are read if they are used.
func (c *Cluster) backends(s *Settings) ([]Backend, error) {
	backends, err := parseBackends(s.URLs)
	if err != nil || !slices.ContainsFunc(backends, func(b Backend) bool { return b.secure() }) {
		return backends, err
	}
	known, err := c.deps.Credentials.get(s.TLS)
	if err != nil {
		return nil, err
	}
	for i := range backends {
		if backends[i].secure() {
			backends[i].tls = known
		}
	}
	return backends, nil
}

func (c *Cluster) newTarget(b Backend, s *Settings) *target {
	t := &target{Backend: b}
	t.watch = breaker.New(s.watch(), func(_, _ breaker.State) {
		if c.deps.Watched != nil {
			c.deps.Watched(c.service, b.URL, t.watch.Status())
		}
	})
	return t
}

func parseBackends(urls []string) ([]Backend, error) {
	if len(urls) == 0 {
		return nil, errors.New("upstream: no URL (want at least one)")
	}
	backends := make([]Backend, 0, len(urls))
	for i, raw := range urls {
		if slices.Contains(urls[:i], raw) {
			return nil, fmt.Errorf("upstream: URL stands twice, got %q", raw)
		}
		b, err := parseBackend(raw)
		if err != nil {
			return nil, err
		}
		backends = append(backends, b)
	}
	return backends, nil
}

// Update says which settings serve now: the watches take them over and those of URLs that are gone are dropped. The
// settings must have been built by Handler.
func (c *Cluster) Update(s Settings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	serving := make([]*target, 0, len(s.URLs))
	kept := make(map[string]*target, len(s.URLs))
	for _, url := range s.URLs {
		if t := c.targets[url]; t != nil {
			t.watch.Update(s.watch())
			serving, kept[url] = append(serving, t), t
		}
	}
	c.serving, c.targets = serving, kept
}

// URLStatus is what operators are shown of one URL.
type URLStatus struct {
	URL       string
	State     breaker.State
	LastError string // "": none since the data plane started or the watch was reset
}

// Status returns the URLs that serve, in the order of the settings.
func (c *Cluster) Status() []URLStatus {
	c.mu.Lock()
	serving := c.serving
	c.mu.Unlock()
	status := make([]URLStatus, len(serving))
	for i, t := range serving {
		s := t.watch.Status()
		status[i] = URLStatus{URL: t.URL, State: s.State, LastError: s.LastError}
	}
	return status
}

// Reset makes every URL usable at once and forgets its failures.
func (c *Cluster) Reset(now time.Time) {
	c.mu.Lock()
	serving := c.serving
	c.mu.Unlock()
	for _, t := range serving {
		t.watch.Reset(now)
	}
}
