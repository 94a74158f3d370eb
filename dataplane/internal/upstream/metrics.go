package upstream

import "github.com/prometheus/client_golang/prometheus"

// Metrics owns gateway_proxy_canceled_total, gateway_upstream_body_errors_total and
// gateway_upstream_tls_reload_errors_total.
type Metrics struct {
	canceled    *prometheus.CounterVec
	bodyErrors  *prometheus.CounterVec
	credentials prometheus.Counter
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
		credentials: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_upstream_tls_reload_errors_total",
			Help: "Changes of the files of upstream_tls that were no good: the earlier content stays in force.",
		}),
	}
	for _, c := range []prometheus.Collector{m.canceled, m.bodyErrors, m.credentials} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) service(name string) *series {
	return &series{canceled: m.canceled.WithLabelValues(name), bodyErrors: m.bodyErrors.WithLabelValues(name)}
}

// Forget deletes the series of a service that is no longer configured.
func (m *Metrics) Forget(service string) {
	m.canceled.DeleteLabelValues(service)
	m.bodyErrors.DeleteLabelValues(service)
}
