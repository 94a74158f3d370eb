package proxy

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/http1"
	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/snapshot"
	"apigateway/dataplane/internal/wire"
)

// gateway is the handler of every request: it judges the request, loads the snapshot once, finds the service and hands over to its chain.
type gateway struct {
	holder      *snapshot.Holder
	unrouted    *refusal.ServiceCounters // answers without a service
	panics      prometheus.Counter
	underscores prometheus.Counter
	log         *slog.Logger
}

func newGateway(holder *snapshot.Holder, refused *refusal.Counters, meters prometheus.Registerer, log *slog.Logger) (*gateway, error) {
	g := &gateway{
		holder: holder, unrouted: refused.Service(""), log: log,
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_panics_total", Help: "Requests that ended in a panic of a handler.",
		}),
		underscores: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_underscore_headers_dropped_total", Help: "Header lines that were dropped because their name has an underscore.",
		}),
	}
	for _, c := range []prometheus.Collector{g.panics, g.underscores} {
		if err := meters.Register(c); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// ServeHTTP implements http.Handler. The request has been let in by package http1 or http2, and its context is an exchange.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange.From(r.Context())
	counters := g.unrouted
	defer func() { g.finish(w, r, counters, recover()) }()

	snap := g.holder.Load()
	if snap == nil {
		refusal.Write(w, r, refusal.NotConfigured)
		return
	}
	g.believe(r, x, snap)
	host, _, _ := wire.ParseHost(r.Host, x.Scheme) // accepted before
	match, ok := snap.Routes.Match(r.Method, host, r.URL.RawPath)
	if !ok {
		refuseRoute(w, r, match.Allow)
		return
	}
	service := match.Route.Value
	x.Service, counters = service.Name, service.Refused
	if service.Config.GetRefuseEncodedSlash() && strings.Contains(r.URL.RawPath, "%2F") {
		refusal.Write(w, r, refusal.BadPathEscape)
		return
	}
	if service.Custom {
		match.SetPathValues(r) // built-in middleware reads none
	} else {
		recycle(w)
	}
	service.Handler.ServeHTTP(w, r)
}

// recycle lets the engine use request and writer again: built-in middleware keeps neither.
func recycle(w http.ResponseWriter) {
	if own, ok := w.(*http1.Writer); ok {
		own.Recycle()
	}
}

// believe makes the header what the chain may rely on, and finds out who the client is.
func (g *gateway) believe(r *http.Request, x *exchange.Exchange, snap *snapshot.Snapshot) {
	peer := x.ClientIP
	trusted := wire.TrustedPeer(peer, snap.TrustedProxies)
	x.ClientIP = wire.ClientIP(peer, r.Header, snap.TrustedProxies)
	if n := wire.StripInbound(r.Header, trusted, snap.Settings.GetPassUnderscoreHeaders()); n > 0 {
		g.underscores.Add(float64(n))
	}
	x.RequestID = wire.RequestID(r.Header)
}

// refuse answers a request that the engine does not let in; it ends its connection, but for OPTIONS *.
func (g *gateway) refuse(w http.ResponseWriter, r *http.Request, v *wire.Violation) {
	defer func() { g.finish(w, r, g.unrouted, recover()) }()
	if v == wire.AnswerOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if v.Status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", allowed)
	}
	reason, _ := refusal.ByCode(v.Code)
	refusal.WriteCause(w, r, reason, v)
}

// allowed answers methods that no service can have.
const allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

// refuseRoute answers a path that no service has, or one whose services have other methods.
func refuseRoute(w http.ResponseWriter, r *http.Request, allow string) {
	if allow == "" {
		refusal.Write(w, r, refusal.NoRoute)
		return
	}
	w.Header().Set("Allow", allow)
	refusal.Write(w, r, refusal.MethodNotAllowed)
}

// finish counts what the gateway answered by itself and ends a panic: with a 500 if there is still time for one, else by aborting
// the connection.
func (g *gateway) finish(w http.ResponseWriter, r *http.Request, counters *refusal.ServiceCounters, panicked any) {
	x := exchange.From(r.Context())
	if err, _ := panicked.(error); panicked != nil && !errors.Is(err, http.ErrAbortHandler) {
		g.panics.Inc()
		g.log.Error("panic in a handler, the request ended", "service", x.Service, "request_id", x.RequestID, "panic", panicked, "stack", string(debug.Stack()))
		if x.Status == 0 {
			refusal.Write(w, r, refusal.InternalError)
			panicked = nil
		}
	}
	counters.Inc(x.Refusal)
	if g.log.Enabled(r.Context(), slog.LevelDebug) {
		g.trace(r, x)
	}
	if panicked != nil {
		panic(http.ErrAbortHandler)
	}
}

// trace logs a request's way through the gateway. Path and key name are the only words of the client's in it.
func (g *gateway) trace(r *http.Request, x *exchange.Exchange) {
	key := ""
	if x.Key != nil {
		key = x.Key.Name
	}
	g.log.Debug("request served", "request_id", x.RequestID, "method", r.Method, "path", r.URL.EscapedPath(), "client", x.ClientIP.String(),
		"service", x.Service, "key", key, "backend", x.Backend, "status", x.Status, "refusal", x.Refusal, "failed", x.Outcome.Failed.String(),
		"reason", x.Outcome.Reason, "err", x.Outcome.Err, "took", time.Since(x.Start))
}
