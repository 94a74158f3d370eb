// Package proxy is the data plane as a whole: it follows a control plane, serves its public address, and ends without losing a request.
// A program of your own imports it to add middleware (Plain, WithSettings) and calls Main.
package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"apigateway/dataplane/internal/admin"
	"apigateway/dataplane/internal/cache"
	"apigateway/dataplane/internal/configsync"
	"apigateway/dataplane/internal/http1"
	"apigateway/dataplane/internal/keys"
	"apigateway/dataplane/internal/snapshot"
	"apigateway/dataplane/internal/upstream"
	"apigateway/proto/mtls"
)

// Options configure a data plane.
type Options struct {
	ControlPlanes []string      // addresses, tried in turn; at least one
	Listen        string        // public HTTP address; empty: the port of the first configuration
	Admin         string        // address for health, metrics and profiles
	ID            string        // shown to operators; unique among live data planes
	Cache         string        // folder of the last good state; off: none
	Drain         time.Duration // how long a shutdown waits for requests under way
	DrainDelay    time.Duration // how long it goes on accepting before that
	Replace       bool          // take over from a running process of the same id and cache, if there is one
	TLS           mtls.Files    // of gRPC; none: plaintext
	Insecure      bool          // plaintext gRPC beyond loopback
	Version       string
	Log           *slog.Logger      // nil: discarded
	Middleware    []Middleware      // own ones
	Started       func(a Addresses) // called once the public address is bound; nil: nobody asks
}

// Addresses are those that a data plane listens on.
type Addresses struct{ HTTP, Admin string }

// plane is a data plane whose parts are made and know each other.
type plane struct {
	opts    Options
	log     *slog.Logger
	meters  *prometheus.Registry
	keys    *keys.Table
	live    *snapshot.Live
	tunnels *upstream.Tunnels
	holder  *snapshot.Holder
	sync    *configsync.Client
	gateway *gateway
	server  *http1.Server
	certs   *certificateMetrics
	dir     *cache.Dir         // nil: off, or another process's by now
	cut     prometheus.Counter // requests and tunnels that a drain did not wait for
	address boundAddress
	admin   string // bound admin address
	drains  atomic.Bool
	port    atomic.Pointer[string] // of the first configuration; nil: --listen says it

	adminServer *http.Server
	replaced    string // port of the process that this one takes over from; empty: --listen said it
}

// Run serves until ctx ends, drains, and returns nil.
func Run(ctx context.Context, opts Options) (err error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s, err := openSockets(ctx, opts)
	if err != nil {
		return err
	}
	defer s.close() // the last of all: a process that is not relieved wants the cache back
	p, err := newPlane(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.closeCache()) }()
	defer p.live.Close()
	p.address.set(s.public)
	p.admin = s.admin.Addr().String()
	if s.takeover != nil {
		p.replaced = s.takeover.Port
	}
	if err := s.take(ctx); err != nil {
		return err
	}
	if err := p.openState(); err != nil {
		return err
	}
	return p.run(ctx, s)
}

// newPlane makes everything but what another process may still hold.
func newPlane(opts Options) (*plane, error) {
	p := &plane{
		opts: opts, log: opts.Log, meters: prometheus.NewRegistry(),
		keys: keys.NewTable(), tunnels: new(upstream.Tunnels), holder: new(snapshot.Holder),
	}
	p.meters.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p.cut = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "gateway_drain_cut_total", Help: "Requests and tunnels that were cut at the end of a drain.",
	})
	tunnels := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_tunnels_open", Help: "Tunnels and streams that are open.",
	}, func() float64 { return float64(p.tunnels.Len()) })
	if err := errors.Join(p.meters.Register(p.cut), p.meters.Register(tunnels)); err != nil {
		return nil, err
	}
	var err error
	p.live, err = snapshot.NewLive(snapshot.Deps{Keys: p.keys, Meters: p.meters, Custom: factories(opts.Middleware), Tunnels: p.tunnels, Log: p.log})
	if err != nil {
		return nil, err
	}
	if p.gateway, err = newGateway(p.holder, p.live.Refused, p.meters, p.log); err != nil {
		return nil, err
	}
	if p.server, err = p.newServer(); err != nil {
		return nil, err
	}
	p.adminServer = admin.New(p.meters, p.notReady)
	return p, nil
}

// run starts every goroutine. The order of the end: the public server drains, then streams to the control plane tell what is left to
// tell, then the admin server goes.
func (p *plane) run(ctx context.Context, s *sockets) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		select {
		case <-s.mine:
			return ignoreClosed(p.adminServer.Serve(s.admin))
		case <-ctx.Done():
			return nil
		}
	})
	g.Go(func() error {
		p.sync.Run(background)
		return nil
	})
	g.Go(func() error {
		p.watch(background)
		return nil
	})
	g.Go(func() error {
		p.watchCertificates(background)
		return nil
	})
	g.Go(func() error {
		err := p.servePublic(ctx, s)
		stop()
		return errors.Join(err, p.adminServer.Close())
	})
	p.log.Info("data plane started", "version", p.opts.Version, "id", p.opts.ID, "admin", p.admin,
		"controlplane", p.opts.ControlPlanes, "cache", p.opts.Cache)
	return g.Wait()
}

// notReady says why the data plane wants no traffic, or nothing.
func (p *plane) notReady() string {
	switch {
	case p.drains.Load():
		return "draining"
	case p.address.get() == "":
		return "no configuration yet, not listening"
	case !p.sync.Ready():
		return "no configuration yet"
	}
	return ""
}

// watchEvery is how often what nobody reports is looked at.
const watchEvery = 2 * time.Second

// watch ends tunnels and streams whose key is no longer valid, and says when the configuration has another port.
func (p *plane) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			p.tunnels.CloseIf(func(h keys.Hash) bool { return !p.keys.StillValid(h, now) })
			told = p.tellPort(told)
		}
	}
}

// tellPort logs once that the configuration has another port than the first one, which is served, and returns the port that it told of
// last.
func (p *plane) tellPort(told string) string {
	snap, served := p.holder.Load(), p.port.Load()
	if snap == nil || served == nil {
		return told
	}
	port := snap.Settings.GetPort()
	if port != *served && port != told {
		p.log.Warn("port changed, takes effect at a restart", "port", port, "serving", *served)
	}
	return port
}

// waitConfigured returns the port of the first configuration.
func (p *plane) waitConfigured(ctx context.Context) (port string, ok bool) {
	select {
	case <-p.sync.Configured():
		return p.holder.Load().Settings.GetPort(), true
	case <-ctx.Done():
		return "", false
	}
}

// factories are own middleware by name, the last of a name winning.
func factories(mws []Middleware) map[string]snapshot.Factory {
	out := make(map[string]snapshot.Factory, len(mws))
	for _, m := range mws {
		out[m.name] = func(config []byte) (func(http.Handler) http.Handler, error) {
			if config == nil {
				config = []byte("{}")
			}
			return m.factory(config)
		}
	}
	return out
}
