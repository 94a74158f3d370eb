package circuitbreaker

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"apigateway/dataplane/internal/breaker"
)

// Metrics owns gateway_circuit_breaker_state. It asks the breakers when it is scraped, so that it always tells the truth
// and changes of state cost nothing. It is safe for concurrent use.
type Metrics struct {
	desc *prometheus.Desc

	mu       sync.Mutex
	breakers map[string]*breaker.Breaker
}

// NewMetrics registers the metric with reg.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		desc: prometheus.NewDesc("gateway_circuit_breaker_state",
			"State of the service's circuit breaker: 0 closed, 1 open, 2 half-open.", []string{"service"}, nil),
		breakers: make(map[string]*breaker.Breaker),
	}
	return m, reg.Register(m)
}

// Watch shows the breaker of a service from now on, in place of one that was shown before.
func (m *Metrics) Watch(service string, b *breaker.Breaker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.breakers[service] = b
}

// Forget ends the series of a service that is no longer configured.
func (m *Metrics) Forget(service string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.breakers, service)
}

// Describe is part of prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.desc }

// Collect is part of prometheus.Collector. It sends without holding the lock: the reader may be slow.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for service, state := range m.states() {
		ch <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, float64(state), service)
	}
}

func (m *Metrics) states() map[string]breaker.State {
	m.mu.Lock()
	defer m.mu.Unlock()
	states := make(map[string]breaker.State, len(m.breakers))
	for service, b := range m.breakers {
		states[service] = b.Status().State
	}
	return states
}
