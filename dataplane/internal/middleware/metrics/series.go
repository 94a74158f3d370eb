package metrics

import (
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"apigateway/dataplane/internal/exchange"
)

// buckets of http_request_timer in seconds: a gateway's answer takes less than a millisecond, a backend's up to its timeout.
var buckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// methods are the label values of method; the last one stands for all others.
var methods = [...]string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodConnect, http.MethodOptions, http.MethodTrace, "other",
}

// methodOf returns the index in methods.
func methodOf(method string) int {
	for i, m := range methods {
		if m == method {
			return i
		}
	}
	return len(methods) - 1
}

// Metrics owns http_request_counter and http_request_timer. It is safe for concurrent use.
type Metrics struct {
	counter *prometheus.CounterVec
	timer   *prometheus.HistogramVec

	mu       sync.Mutex
	services map[string]*series
}

// NewMetrics registers the metrics with reg.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		counter: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_request_counter",
			Help: "Requests that passed through the metrics middleware, by method, status and service.",
		}, []string{"method", "status", "service"}),
		timer: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_request_timer",
			Help:    "Seconds from the request head until the handler returned, for a tunnel until its response head.",
			Buckets: buckets,
		}, []string{"service"}),
		services: make(map[string]*series),
	}
	if err := reg.Register(m.counter); err != nil {
		return nil, err
	}
	return m, reg.Register(m.timer)
}

// service returns the series of one service, always the same ones while it is configured.
func (m *Metrics) service(name string) *series {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.services[name]
	if s == nil {
		s = &series{service: name, counter: m.counter, timer: m.timer.WithLabelValues(name)}
		s.children.Store(&map[label]prometheus.Counter{})
		s.child(label{methodOf(http.MethodGet), http.StatusOK})
		m.services[name] = s
	}
	return s
}

// Forget deletes the series of a service that is no longer configured. Its last requests bring none of them back.
func (m *Metrics) Forget(service string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.services[service]; s != nil {
		s.forget()
		delete(m.services, service)
	}
	labels := prometheus.Labels{"service": service}
	m.counter.DeletePartialMatch(labels)
	m.timer.DeletePartialMatch(labels)
}

// label is what tells one service's counters apart: an index in methods, and a status.
type label struct{ method, status int }

// series are one service's. The counters are resolved when they are first needed and then found without a lock: the map
// is replaced, never written. It holds at most as many entries as there are methods times statuses.
type series struct {
	service  string
	timer    prometheus.Observer
	children atomic.Pointer[map[label]prometheus.Counter]

	mu        sync.Mutex
	counter   *prometheus.CounterVec
	forgotten bool
}

func (s *series) count(method, status int) {
	l := label{method, status}
	if c, ok := (*s.children.Load())[l]; ok {
		c.Inc()
		return
	}
	if c := s.child(l); c != nil {
		c.Inc()
	}
}

// child resolves a counter, nil if the service is forgotten.
func (s *series) child(l label) prometheus.Counter {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forgotten {
		return nil
	}
	c := s.counter.WithLabelValues(methods[l.method], strconv.Itoa(l.status), s.service)
	next := maps.Clone(*s.children.Load())
	next[l] = c
	s.children.Store(&next)
	return c
}

func (s *series) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgotten = true
}

// Settled times a tunnel, which has its response head now. It is the observer of every request of the service and holds
// nothing of its own about any of them.
func (s *series) Settled(x *exchange.Exchange) {
	if x.Tunnel {
		s.timer.Observe(time.Since(x.Start).Seconds())
	}
}
