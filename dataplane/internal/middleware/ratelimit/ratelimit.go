// Package ratelimit admits each client of a service as fast as its token bucket allows, on this data plane. The client is
// the verified key, or its IP address where no key was verified (IPv6: its /64); an unverified key never selects a bucket,
// so rate_limit before auth_apikey counts by address.
//
// Settings: rate_limit_rps (requests per second and client), rate_limit_burst (size of the bucket); they belong to the
// table of buckets, which outlives the configuration.
//
// Responses: 429 rate_limited with Retry-After (whole seconds, rounded up), RateLimit-Policy and RateLimit
// (draft-ietf-httpapi-ratelimit-headers-10: q the burst, w the seconds that fill an empty bucket, r the requests left,
// t the seconds until the bucket is full). An admitted request's answer carries none of them: they would cost each
// request more than the limit itself.
//
// Metrics: gateway_rate_limited_total{service}.
package ratelimit

import (
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"apigateway/dataplane/internal/chain"
	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/limiter"
	"apigateway/dataplane/internal/refusal"
)

// Config is one service's settings.
type Config struct {
	Service string
}

// Deps is what the middleware needs from the data plane.
type Deps struct {
	Buckets *limiter.Table     // the service's own
	Limited prometheus.Counter // the service's own, see Metrics
	Now     func() int64       // monotonic nanoseconds, never negative; nil: of the request's begin, since the process started
	Log     *slog.Logger       // tells each decision at level debug; nil: slog.Default()
}

type limit struct {
	Config
	Deps
	next http.Handler
}

var processStart = time.Now()

// New returns the middleware of one service.
func New(cfg Config, deps Deps) (chain.Middleware, error) {
	if deps.Buckets == nil || deps.Limited == nil {
		return nil, errors.New("rate_limit: no buckets or no counter")
	}
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	return func(next http.Handler) http.Handler { return &limit{cfg, deps, next} }, nil
}

func (l *limit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange.From(r.Context())
	d := l.Buckets.Take(client(x), l.now(x))
	if !d.OK {
		l.refuse(w, r, x, d)
		return
	}
	if l.Log.Enabled(x, slog.LevelDebug) {
		l.Log.LogAttrs(x, slog.LevelDebug, "rate_limit passed", slog.String("service", l.Service),
			slog.Int64("remaining", d.Remaining), slog.String("request_id", x.RequestID))
	}
	l.next.ServeHTTP(w, r)
}

func (l *limit) now(x *exchange.Exchange) int64 {
	if l.Now != nil {
		return l.Now()
	}
	return max(0, int64(x.Begun().Sub(processStart)))
}

func client(x *exchange.Exchange) limiter.Client {
	if x.Key != nil {
		return limiter.ForKey(x.Key.Name)
	}
	return limiter.ForIP(x.ClientIP)
}

func (l *limit) refuse(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, d limiter.Decision) {
	l.Limited.Inc()
	if l.Log.Enabled(x, slog.LevelDebug) {
		l.Log.LogAttrs(x, slog.LevelDebug, "rate_limit refused", slog.String("service", l.Service),
			slog.Duration("retry_after", d.RetryAfter), slog.String("request_id", x.RequestID))
	}
	h := w.Header()
	h.Set("Retry-After", strconv.FormatInt(max(1, seconds(d.RetryAfter)), 10))
	h.Set("RateLimit-Policy", policy(l.Buckets.Rate()))
	h.Set("RateLimit", state(d))
	refusal.Write(w, r, refusal.RateLimited)
}

// maxInteger is the largest Integer of a structured field (RFC 9651 §3.3.1).
const maxInteger = 999_999_999_999_999

func policy(r limiter.Rate) string {
	window := min(max(1, math.Ceil(float64(r.Burst())/r.PerSecond())), maxInteger)
	b := append(make([]byte, 0, 48), `"default";q=`...)
	b = strconv.AppendInt(b, int64(r.Burst()), 10)
	b = append(b, ";w="...)
	return string(strconv.AppendInt(b, int64(window), 10))
}

func state(d limiter.Decision) string {
	b := append(make([]byte, 0, 48), `"default";r=`...)
	b = strconv.AppendInt(b, d.Remaining, 10)
	b = append(b, ";t="...)
	return string(strconv.AppendInt(b, seconds(d.ResetAfter-time.Millisecond), 10)) // a rounding error is no second
}

// seconds rounds up: a client that comes back after them is not too early.
func seconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return s
}
