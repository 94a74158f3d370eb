package snapshot

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"apigateway/dataplane/internal/limiter"
	"apigateway/dataplane/internal/middleware/circuitbreaker"
	"apigateway/dataplane/internal/middleware/metrics"
	"apigateway/dataplane/internal/middleware/ratelimit"
	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/upstream"
)

// meters are the metrics that have one series or more per service.
type meters struct {
	limited  *ratelimit.Metrics
	breakers *circuitbreaker.Metrics
	requests *metrics.Metrics
	upstream *upstream.Metrics
}

// newMeters registers every metric of services and buckets with reg.
func (l *Live) newMeters(reg prometheus.Registerer) error {
	var errs [7]error
	l.metrics.limited, errs[0] = ratelimit.NewMetrics(reg)
	l.metrics.breakers, errs[1] = circuitbreaker.NewMetrics(reg)
	l.metrics.requests, errs[2] = metrics.NewMetrics(reg)
	l.metrics.upstream, errs[3] = upstream.NewMetrics(reg)
	l.Refused, errs[4] = refusal.NewCounters(reg)
	errs[5] = reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_rate_limit_buckets", Help: "Buckets of clients that rate_limit keeps.",
	}, l.ofBudget(func(b *limiter.Budget) float64 { return float64(b.Len()) })))
	errs[6] = reg.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "gateway_rate_limit_evicted_total", Help: "Buckets that were dropped to keep the bound on them; their clients start with a full one.",
	}, l.ofBudget(func(b *limiter.Budget) float64 { return float64(b.Evicted()) })))
	return errors.Join(errs[:]...)
}

// ofBudget reads a number off the bound on buckets when it is asked for; 0 while there is none.
func (l *Live) ofBudget(read func(*limiter.Budget) float64) func() float64 {
	return func() float64 {
		l.mu.Lock()
		budget := l.budget
		l.mu.Unlock()
		if budget == nil {
			return 0
		}
		return read(budget)
	}
}
