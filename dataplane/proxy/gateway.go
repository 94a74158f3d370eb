package proxy

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"apigateway/dataplane/internal/exchange"
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
	draining    atomic.Bool
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

// ServeHTTP implements http.Handler.
func (g *gateway) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	x := exchange.New(r.Context())
	x.Start, x.Scheme = time.Now(), "http"
	w := &writer{ResponseWriter: rw, x: x, last: g.draining.Load}
	r = r.WithContext(x) //nolint:contextcheck // the exchange is the request's context
	counters := g.unrouted
	defer func() { g.finish(w, r, counters, recover()) }() //nolint:contextcheck // likewise

	snap := g.holder.Load()
	if snap == nil {
		refusal.Write(w, r, refusal.NotConfigured)
		return
	}
	if spent(r.Context(), snap.Settings.GetListener()) {
		w.last = func() bool { return true }
	}
	if !g.accept(w, r, snap) {
		return
	}
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
	match.SetPathValues(r)
	service.Handler.ServeHTTP(w, r)
}

// accept judges the request and makes it what the chain may rely on: canonical path, believed headers only, the client's address.
func (g *gateway) accept(w *writer, r *http.Request, snap *snapshot.Snapshot) bool {
	if v := wire.CheckRequest(r); v == wire.AnswerOptions {
		w.WriteHeader(http.StatusNoContent)
		return false
	} else if v != nil {
		if v.Status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", allowed)
		}
		reason, _ := refusal.ByCode(v.Code)
		w.Header().Set("Connection", "close") // whoever sends this is not believed about where the next request begins
		refusal.WriteCause(w, r, reason, v)
		return false
	}
	if !snap.Settings.GetPassUnderscoreHeaders() {
		if n := wire.DropUnderscores(r.Header); n > 0 {
			g.underscores.Add(float64(n))
		}
	}
	peer := peerOf(r)
	trusted := wire.TrustedPeer(peer, snap.TrustedProxies)
	w.x.ClientIP = wire.ClientIP(peer, r.Header, snap.TrustedProxies)
	wire.StripInbound(r.Header, trusted)
	w.x.RequestID = wire.RequestID(r.Header)
	return true
}

// allowed answers methods that no service can have.
const allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

func peerOf(r *http.Request) netip.Addr {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Addr().Unmap()
}

// refuseRoute answers a path that no service has, or one whose services have other methods.
func refuseRoute(w *writer, r *http.Request, allow string) {
	if allow == "" {
		refusal.Write(w, r, refusal.NoRoute)
		return
	}
	w.Header().Set("Allow", allow)
	refusal.Write(w, r, refusal.MethodNotAllowed)
}

// finish counts what the gateway answered by itself and ends a panic: with a 500 if there is still time for one, else by aborting
// the connection.
func (g *gateway) finish(w *writer, r *http.Request, counters *refusal.ServiceCounters, panicked any) {
	x := w.x
	if err, _ := panicked.(error); panicked != nil && !errors.Is(err, http.ErrAbortHandler) {
		g.panics.Inc()
		g.log.Error("panic in a handler, the request ended", "service", x.Service, "request_id", x.RequestID, "panic", panicked, "stack", string(debug.Stack()))
		if x.Status == 0 {
			refusal.Write(w, r, refusal.InternalError)
			panicked = nil
		}
	}
	counters.Inc(x.Refusal)
	if g.log.Enabled(x, slog.LevelDebug) {
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
