package snapshot

import (
	"log/slog"
	"time"

	"apigateway/dataplane/internal/breaker"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// OnBreakerChange has f called at each change of a breaker's state, on the request's goroutine: f must not block. It
// replaces an earlier f.
func (l *Live) OnBreakerChange(f func(service string)) { l.onBreaker.Store(&f) }

func (l *Live) newBreaker(service string, s breaker.Settings) *breaker.Breaker {
	var b *breaker.Breaker
	b = breaker.New(s, func(_, _ breaker.State) {
		logChange(l.deps.Log.With("service", service), "circuit breaker changed its state", b.Status())
		l.breakerMoved(service)
	})
	return b
}

// watched hears of the watch on a URL.
func (l *Live) watched(service, url string, now breaker.Status) {
	logChange(l.deps.Log.With("service", service, "url", url), "watch on a backend changed its state", now)
	l.breakerMoved(service)
}

func (l *Live) breakerMoved(service string) {
	if f := l.onBreaker.Load(); f != nil {
		(*f)(service)
	}
}

// logChange logs a state as loud as it deserves.
func logChange(log *slog.Logger, message string, now breaker.Status) {
	log = log.With("state", now.State)
	if now.State == breaker.Open {
		log.Warn(message, "failures", now.ConsecutiveFailures, "cause", now.LastError, "next_probe_at", now.NextProbeAt)
		return
	}
	log.Info(message)
}

// BreakerStates returns the breakers of all services that serve. A service without circuit_breaker is closed; its URLs are
// watched all the same.
func (l *Live) BreakerStates() []*gatewayv1.BreakerState {
	l.mu.Lock()
	services := l.services // replaced as a whole, never changed
	l.mu.Unlock()
	states := make([]*gatewayv1.BreakerState, 0, len(services))
	for _, s := range services {
		states = append(states, s.breakerState())
	}
	return states
}

// BreakerState returns one service's breaker, nil if it does not serve.
func (l *Live) BreakerState(service string) *gatewayv1.BreakerState {
	if s := l.serving(service); s != nil {
		return s.breakerState()
	}
	return nil
}

// ResetBreaker closes a service's breaker and makes its URLs usable at once. It reports whether the service serves.
func (l *Live) ResetBreaker(service string) bool {
	s := l.serving(service)
	if s == nil {
		return false
	}
	now := time.Now()
	s.parts.cluster.Reset(now)
	if s.parts.breaker != nil {
		s.parts.breaker.Reset(now)
	}
	l.breakerMoved(service) // also if nothing changed but the last error
	return true
}

func (l *Live) serving(service string) *Service {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.services[service]
}

func (s *Service) breakerState() *gatewayv1.BreakerState {
	out := &gatewayv1.BreakerState{Service: s.Name, State: circuitState(breaker.Closed), SinceMs: s.parts.since.UnixMilli()}
	if s.parts.breaker != nil {
		b := s.parts.breaker.Status()
		out.State = circuitState(b.State)
		out.ConsecutiveFailures, out.Trips, out.LastError = int64(b.ConsecutiveFailures), int64(b.Trips), b.LastError
		if !b.Since.IsZero() {
			out.SinceMs = b.Since.UnixMilli()
		}
		if !b.NextProbeAt.IsZero() {
			out.NextProbeAtMs = b.NextProbeAt.UnixMilli()
		}
	}
	for _, u := range s.parts.cluster.Status() {
		out.Urls = append(out.Urls, &gatewayv1.UrlState{Url: u.URL, State: circuitState(u.State), LastError: u.LastError})
	}
	return out
}

func circuitState(s breaker.State) gatewayv1.CircuitState {
	switch s {
	case breaker.Open:
		return gatewayv1.CircuitState_CIRCUIT_STATE_OPEN
	case breaker.HalfOpen:
		return gatewayv1.CircuitState_CIRCUIT_STATE_HALF_OPEN
	default:
		return gatewayv1.CircuitState_CIRCUIT_STATE_CLOSED
	}
}
