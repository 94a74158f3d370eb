package snapshot

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"apigateway/dataplane/internal/breaker"
	"apigateway/dataplane/internal/chain"
	"apigateway/dataplane/internal/limiter"
	"apigateway/dataplane/internal/middleware/authapikey"
	"apigateway/dataplane/internal/middleware/circuitbreaker"
	"apigateway/dataplane/internal/middleware/metrics"
	"apigateway/dataplane/internal/middleware/ratelimit"
)

// Factory makes own middleware for one service. config is the JSON of middleware_config.<name>, nil if the file has none.
// It is called while a snapshot is built, for each service whose configuration changed.
type Factory func(config []byte) (func(http.Handler) http.Handler, error)

// builtin names every middleware that a configuration may list and that we bring.
var builtin = map[string]func(*builder, *Service) (chain.Middleware, error){
	"auth_apikey":     newAuthAPIKey,
	"rate_limit":      newRateLimit,
	"circuit_breaker": newCircuitBreaker,
	"metrics":         newMetrics,
}

// Middleware returns the names of all middleware that can be built, in order.
func (l *Live) Middleware() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for name := range builtin {
			if !yield(name) {
				return
			}
		}
		for name := range maps.Keys(l.deps.Custom) {
			if !yield(name) {
				return
			}
		}
	})
}

// middleware makes the chain of a service in the order that its configuration gives.
func (b *builder) middleware(s *Service) ([]chain.Middleware, error) {
	names := s.Config.GetMiddleware()
	mws := make([]chain.Middleware, 0, len(names))
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("middleware %q stands twice", name)
		}
		mw, err := b.one(s, name)
		if err != nil {
			return nil, fmt.Errorf("middleware %q: %w", name, err)
		}
		mws = append(mws, mw)
	}
	return mws, nil
}

func (b *builder) one(s *Service, name string) (chain.Middleware, error) {
	if build, ok := builtin[name]; ok {
		return build(b, s)
	}
	factory, ok := b.live.deps.Custom[name]
	if !ok {
		return nil, fmt.Errorf("this data plane does not have it (it has %q)", b.live.Middleware())
	}
	s.Custom = true
	mw, err := factory(b.config(name))
	if err != nil {
		return nil, err
	}
	if mw == nil {
		return nil, fmt.Errorf("its factory returned nil")
	}
	return mw, nil
}

// config returns the settings of own middleware as JSON.
func (b *builder) config(name string) []byte {
	for _, c := range b.next.Settings.GetMiddlewareConfigs() {
		if c.GetName() == name {
			return slices.Clone(c.GetJson()) // a factory may keep and change it
		}
	}
	return nil
}

func newAuthAPIKey(b *builder, s *Service) (chain.Middleware, error) {
	return authapikey.New(
		authapikey.Config{Service: s.Name, ForwardKey: b.next.Settings.GetForwardKey()},
		authapikey.Deps{Keys: b.live.deps.Keys, Log: b.live.deps.Log},
	)
}

func newRateLimit(b *builder, s *Service) (chain.Middleware, error) {
	rate, err := limiter.NewRate(s.Config.GetRateLimitRps(), int(s.Config.GetRateLimitBurst()))
	if err != nil {
		return nil, err
	}
	s.parts.rate = rate
	if s.parts.buckets == nil {
		s.parts.buckets = limiter.NewTable(rate, b.live.budgetFor(b.next.Settings))
	}
	return ratelimit.New(ratelimit.Config{Service: s.Name}, ratelimit.Deps{
		Buckets: s.parts.buckets,
		Limited: b.live.metrics.limited.Service(s.Name),
		Now:     b.live.now,
		Log:     b.live.deps.Log,
	})
}

func newCircuitBreaker(b *builder, s *Service) (chain.Middleware, error) {
	if s.parts.breaker == nil {
		s.parts.breaker = b.live.newBreaker(s.Name, breakerSettings(s))
	}
	return circuitbreaker.New(circuitbreaker.Config{Service: s.Name}, circuitbreaker.Deps{
		Breaker: s.parts.breaker,
		Log:     b.live.deps.Log,
	})
}

func breakerSettings(s *Service) breaker.Settings {
	return breaker.Settings{
		FailureThreshold: int(s.Config.GetCbFailureThreshold()),
		ResetTimeout:     millis(s.Config.GetCbResetTimeoutMs()),
	}
}

func newMetrics(b *builder, s *Service) (chain.Middleware, error) {
	return metrics.New(metrics.Config{Service: s.Name}, metrics.Deps{Metrics: b.live.metrics.requests})
}
