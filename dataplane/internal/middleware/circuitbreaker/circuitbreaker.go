// Package circuitbreaker stops asking a service whose backends fail. It takes a permit from the service's breaker, lets
// the request pass, and reports what became of it once its exchange is settled: a failure is on the backend's account
// (connection error, timeout, malformed response, 5xx status); what is the client's or the gateway's own is ignored, and
// so is a request that ended without a settled exchange, by a panic too. A tunnel or stream is a success from its response
// head on, so it never holds the half-open breaker's one probe.
//
// Settings: cb_failure_threshold, cb_reset_timeout_seconds; they belong to the breaker, which outlives the configuration.
//
// Responses: 503 breaker_open with Retry-After (whole seconds, at least 1).
//
// Metrics: gateway_circuit_breaker_state{service}: 0 closed, 1 open, 2 half-open.
package circuitbreaker

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"apigateway/dataplane/internal/breaker"
	"apigateway/dataplane/internal/chain"
	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/refusal"
)

// Config is one service's settings.
type Config struct {
	Service string
}

// Deps is what the middleware needs from the data plane.
type Deps struct {
	Breaker *breaker.Breaker // the service's own
	Log     *slog.Logger     // tells each decision at level debug; nil: slog.Default()
}

type guard struct {
	Config
	Deps
	next http.Handler
}

// New returns the middleware of one service.
func New(cfg Config, deps Deps) (chain.Middleware, error) {
	if deps.Breaker == nil {
		return nil, errors.New("circuit_breaker: no breaker")
	}
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	return func(next http.Handler) http.Handler { return &guard{cfg, deps, next} }, nil
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange.From(r.Context())
	permit, ok := g.Breaker.Pass()
	if !ok {
		permit, ok = g.Breaker.Allow(time.Now())
	}
	if !ok {
		g.refuse(w, r, x)
		return
	}
	c := &call{permit: permit}
	defer c.end()
	x.Observe(c)
	if g.Log.Enabled(r.Context(), slog.LevelDebug) {
		g.Log.LogAttrs(r.Context(), slog.LevelDebug, "circuit_breaker passed", slog.String("service", g.Service),
			slog.String("request_id", x.RequestID))
	}
	g.next.ServeHTTP(w, r)
}

func (g *guard) refuse(w http.ResponseWriter, r *http.Request, x *exchange.Exchange) {
	wait := g.Breaker.RetryAfter(time.Now())
	if g.Log.Enabled(r.Context(), slog.LevelDebug) {
		g.Log.LogAttrs(r.Context(), slog.LevelDebug, "circuit_breaker refused", slog.String("service", g.Service),
			slog.Duration("retry_after", wait), slog.String("request_id", x.RequestID))
	}
	w.Header().Set("Retry-After", strconv.FormatInt(max(1, int64((wait+time.Second-1)/time.Second)), 10))
	refusal.Write(w, r, refusal.BreakerOpen)
}

// call owes the breaker one result.
type call struct {
	permit breaker.Permit
	told   bool
}

// Settled reports the outcome. It is the exchange's observer.
func (c *call) Settled(x *exchange.Exchange) {
	c.told = true
	switch x.Outcome.Failed {
	case exchange.None:
		if !c.permit.Passed() {
			c.permit.Done(breaker.Success, nil, time.Now())
		}
	case exchange.Upstream:
		c.permit.Done(breaker.Failure, cause(x.Outcome), time.Now())
	default:
		c.permit.Done(breaker.Ignored, nil, time.Now())
	}
}

// end reports a request that was never settled.
func (c *call) end() {
	if !c.told {
		c.permit.Done(breaker.Ignored, nil, time.Now())
	}
}

// cause returns what operators are shown as the last error.
func cause(o exchange.Outcome) error {
	if o.Err != nil {
		return o.Err
	}
	return errors.New(o.Reason)
}
