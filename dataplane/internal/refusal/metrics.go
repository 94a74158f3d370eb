package refusal

import "github.com/prometheus/client_golang/prometheus"

// Counters owns gateway_refused_total{service,code}. It is safe for concurrent use.
type Counters struct{ vec *prometheus.CounterVec }

// NewCounters registers the metric with reg. The series of service "" (answers before routing) exist at zero from the start.
func NewCounters(reg prometheus.Registerer) (*Counters, error) {
	c := &Counters{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gateway_refused_total",
		Help: "Answers that the gateway itself made, by service and stable code.",
	}, []string{"service", "code"})}
	if err := reg.Register(c.vec); err != nil {
		return nil, err
	}
	c.Service("")
	return c, nil
}

// Service returns the counters of one service, "" being every answer before routing. Its series exist at zero from now on,
// but for the codes that a known service never refuses with. It is for build time: requests use what it returns.
func (c *Counters) Service(name string) *ServiceCounters {
	s := &ServiceCounters{vec: c.vec, service: name}
	for reason, e := range table {
		if name == "" || e.inService {
			s.children[reason] = c.vec.WithLabelValues(name, e.code)
		}
	}
	return s
}

// Forget deletes the series of a service that is no longer configured.
func (c *Counters) Forget(service string) {
	c.vec.DeletePartialMatch(prometheus.Labels{"service": service})
}

// ServiceCounters counts one service's refusals. It is safe for concurrent use.
type ServiceCounters struct {
	vec      *prometheus.CounterVec
	service  string
	children [reasons]prometheus.Counter // nil: a code that this service is not expected to refuse with
}

// Inc counts one refusal with that code, as refusal.Write left it in the exchange. Anything that is no code ("" is none)
// counts nothing.
func (s *ServiceCounters) Inc(code string) {
	reason, ok := byCode[code]
	if !ok {
		return
	}
	if child := s.children[reason]; child != nil {
		child.Inc()
		return
	}
	s.vec.WithLabelValues(s.service, code).Inc()
}
