package ratelimit

import "github.com/prometheus/client_golang/prometheus"

// Metrics owns gateway_rate_limited_total. It is safe for concurrent use.
type Metrics struct{ limited *prometheus.CounterVec }

// NewMetrics registers the metric with reg.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gateway_rate_limited_total",
		Help: "Requests refused because their client's bucket was empty.",
	}, []string{"service"})}
	return m, reg.Register(m.limited)
}

// Service returns the counter of a service. Its series exists at zero from now on.
func (m *Metrics) Service(name string) prometheus.Counter { return m.limited.WithLabelValues(name) }

// Forget deletes the series of a service that is no longer configured.
func (m *Metrics) Forget(service string) { m.limited.DeleteLabelValues(service) }
