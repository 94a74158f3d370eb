package upstream

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"apigateway/dataplane/internal/breaker"
	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/wire"
)

// connectBudget is how long all connects of one request may take together.
const connectBudget = 10 * time.Second

// handler is the last handler of a service's chain in one configuration.
type handler struct {
	cluster  *Cluster
	settings *Settings
	targets  []*target
	grpc     bool // HTTP/2 is spoken to every URL: gRPC calls are streams
}

// ServeHTTP answers with the backend's response or refuses. It panics with http.ErrAbortHandler where the connection has
// to be aborted: the client is gone, or an answer broke off.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	webSocket := false
	if !h.settings.NoUpgrade {
		var v *wire.Violation
		if webSocket, v = wire.WebSocket(r); v != nil {
			refusal.WriteCause(w, r, refusal.BadRequest, v)
			return
		}
	}
	path, v := wire.OutboundPath(r.URL)
	if v != nil {
		refusal.WriteCause(w, r, refusal.BadRequest, v)
		return
	}
	stream := h.grpc && isGRPC(r.Header)
	if limit := h.settings.MaxBody; limit > 0 && r.ContentLength > limit && !stream {
		refusal.Write(w, r, refusal.BodyTooLarge)
		return
	}
	x := exchange.From(r.Context())
	c := calls.Get().(*call)
	*c = call{handler: h, w: w, r: r, x: x, attempt: Attempt{
		Settings: h.settings, Path: path, WebSocket: webSocket, Tunnels: h.cluster.deps.Tunnels,
		Body: newBody(w, r, h.settings, stream), Stream: stream, x: x,
	}}
	if h.settings.Timeout > 0 {
		c.attempt.Deadline = x.Start.Add(h.settings.Timeout)
	}
	c.run(r.Context())
	if !c.attempt.Backend.http2() { // else goroutines of the transport may still know the attempt
		*c = call{}
		calls.Put(c)
	}
}

// calls keeps what requests need on their way, but for those that ended in a panic.
var calls = sync.Pool{New: func() any { return new(call) }}

// call is one request on its way through the attempts.
type call struct {
	*handler
	w       http.ResponseWriter
	r       *http.Request
	x       *exchange.Exchange
	attempt Attempt

	first  int       // index of the target whose turn it was
	tried  []*target // that could not be reached
	lastly bool      // only targets that are passed over are left
}

func (c *call) run(ctx context.Context) {
	now := time.Now()
	c.first = int((c.cluster.turn.Add(1) - 1) % uint32(len(c.targets)))
	t := c.pick(now)
	c.attempt.Begun, c.attempt.ConnectBy = now, now.Add(connectBudget)
	for retried := false; ; {
		o := c.try(ctx, t)
		switch {
		case c.attempt.answered:
			c.answered(&o)
			return
		case !retried && ctx.Err() == nil && c.repeatable(o.Stage):
			retried, c.attempt.Begun = true, time.Now()
			continue // the watch still waits for its result
		}
		now = time.Now()
		c.attempt.permit.Done(o.result(), o.Err, now)
		if c.movable(&o) && now.Before(c.attempt.ConnectBy) {
			c.tried = append(c.tried, t)
			if next := c.pick(now); next != nil {
				t, c.attempt.Begun = next, now
				continue
			}
		}
		c.refuse(&o)
		return
	}
}

// try makes one attempt at t, whose permit is taken. A panic below still ends the permit and the body.
func (c *call) try(ctx context.Context, t *target) Outcome {
	ended := false
	defer func() {
		if !ended {
			c.attempt.Body.stop()
			c.attempt.permit.Done(breaker.Ignored, nil, time.Now())
		}
	}()
	c.attempt.Backend, c.x.Backend = &t.Backend, t.URL
	o := c.cluster.deps.Engine.Attempt(c.w, c.r, &c.attempt)
	ended = true
	c.note(ctx, &o)
	return o
}

func (c *call) note(ctx context.Context, o *Outcome) {
	log := c.cluster.deps.Log
	if log.Enabled(ctx, slog.LevelDebug) {
		log.LogAttrs(ctx, slog.LevelDebug, "upstream attempted", slog.String("service", c.cluster.service),
			slog.String("request_id", c.x.RequestID), slog.String("url", c.x.Backend), slog.Bool("answered", c.attempt.answered),
			slog.Int("status", c.x.Status), slog.String("failed", o.Failed.String()), slog.Any("err", o.Err))
	}
}

// pick returns the next target in the round robin that is not passed over and takes its permit. When there is none left,
// it returns those that are passed over, without a permit: the last ones are better than none. nil: all were tried.
func (c *call) pick(now time.Time) *target {
	c.attempt.permit = breaker.Permit{}
	for i := range c.targets {
		t := c.targets[(c.first+i)%len(c.targets)]
		if c.lastly || !c.possible(t) {
			continue
		}
		permit, ok := t.watch.Pass()
		if !ok {
			permit, ok = t.watch.Allow(now)
		}
		if ok {
			c.attempt.permit = permit
			return t
		}
	}
	c.lastly = true
	for i := range c.targets {
		if t := c.targets[(c.first+i)%len(c.targets)]; c.possible(t) {
			return t
		}
	}
	return nil
}

// possible reports whether t can still be tried. A body of which something was read for HTTP/2 is kept for HTTP/2 alone.
func (c *call) possible(t *target) bool {
	return !slices.Contains(c.tried, t) && (c.attempt.replay == nil || t.http2())
}

// movable reports whether another URL may get the request after an attempt that ended so.
func (c *call) movable(o *Outcome) bool {
	return o.Failed == exchange.Upstream && (o.Stage == Unmade || o.Stage == Unprocessed && c.attempt.replay.again())
}

// repeatable reports whether the request may be sent to the same URL a second time (RFC 9110 §9.2.2, RFC 9113 §8.7).
func (c *call) repeatable(s Stage) bool {
	if s != StaleConn {
		return s == Unprocessed && c.attempt.replay.again()
	}
	switch c.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return c.attempt.Body == nil
	default:
		return false
	}
}

// answered ends a request whose answer was begun.
func (c *call) answered(o *Outcome) {
	switch {
	case o.Gone:
		c.cluster.series.canceled.Inc()
	case o.Failed == exchange.Upstream:
		c.cluster.series.bodyErrors.Inc()
	}
	c.attempt.Body.stop()
	if o.Failed != exchange.None && !c.x.Tunnel {
		panic(http.ErrAbortHandler) // never a clean end
	}
}

// refuse ends a request that got no answer.
func (c *call) refuse(o *Outcome) {
	c.attempt.Body.stop()
	if errors.Is(o.Err, errCut) {
		c.x.Settle(exchange.Outcome{Failed: o.Failed, Reason: "stream_cut", Err: o.Err})
		panic(http.ErrAbortHandler)
	}
	if o.Gone {
		c.cluster.series.canceled.Inc()
		c.x.Settle(exchange.Outcome{Failed: exchange.Client, Reason: "client_gone", Err: o.Err})
		panic(http.ErrAbortHandler) // a return would be a 200
	}
	c.x.Refusal = o.Reason.Code()
	c.x.Settle(exchange.Outcome{Failed: o.Failed, Reason: o.Reason.Code(), Err: o.Err})
	refusal.WriteCause(c.w, c.r, o.Reason, o.Err)
}
