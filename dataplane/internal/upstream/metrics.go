package upstream

import "github.com/prometheus/client_golang/prometheus"

// Metrics owns gateway_proxy_canceled_total and gateway_upstream_body_errors_total.
type Metrics struct {
	canceled   *prometheus.CounterVec
	bodyErrors *prometheus.CounterVec
}

// series are one service's, resolved once.
type series struct {
	canceled   prometheus.Counter
	bodyErrors prometheus.Counter
}

// NewMetrics registers the metrics with reg.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		canceled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_proxy_canceled_total",
			Help: "Requests whose client left before the backend's answer was complete.",
		}, []string{"service"}),
		bodyErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_upstream_body_errors_total",
			Help: "Responses whose body broke off at the backend after their head had been passed on.",
		}, []string{"service"}),
	}
	if err := reg.Register(m.canceled); err != nil {
		return nil, err
	}
	return m, reg.Register(m.bodyErrors)
}

func (m *Metrics) service(name string) *series {
	return &series{canceled: m.canceled.WithLabelValues(name), bodyErrors: m.bodyErrors.WithLabelValues(name)}
}

// Forget deletes the series of a service that is no longer configured.
func (m *Metrics) Forget(service string) {
	m.canceled.DeleteLabelValues(service)
	m.bodyErrors.DeleteLabelValues(service)
}
