package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"apigateway/dataplane/internal/configsync"
	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/http1"
)

// servePublic binds the public address if it is not bound yet, serves it until ctx ends, and drains it.
func (p *plane) servePublic(ctx context.Context, public net.Listener) error {
	if public == nil {
		port, ok := p.waitConfigured(ctx)
		if !ok {
			return nil
		}
		var err error
		if public, err = bind("port of the configuration, changed by --listen", port); err != nil {
			return err
		}
		p.address.set(public)
		p.port.Store(&port)
	} else {
		p.waitGrace(ctx)
	}
	p.log.Info("serving", "http", p.address.get(), "configured", p.holder.Load() != nil)
	if p.opts.Started != nil {
		p.opts.Started(Addresses{HTTP: public.Addr().String(), Admin: p.admin})
	}
	served := make(chan error, 1)
	go func() { served <- p.server.Serve(public) }() //nolint:contextcheck // requests have contexts of their own
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", public.Addr(), err)
	case <-ctx.Done():
	}
	p.drain() //nolint:contextcheck // ctx has ended, the drain has a deadline of its own
	if err := ignoreClosed(<-served); err != nil {
		return fmt.Errorf("serve %s: %w", public.Addr(), err)
	}
	return nil
}

// waitGrace gives the control plane or the cache their moment to bring the first configuration. Clients of a data plane that restarts wait
// in the listener's queue meanwhile, instead of being told that it is not configured.
func (p *plane) waitGrace(ctx context.Context) {
	grace := time.NewTimer(2 * configsync.Grace)
	defer grace.Stop()
	select {
	case <-p.sync.Configured():
	case <-grace.C:
	case <-ctx.Done():
	}
}

func (p *plane) newServer() (*http1.Server, error) {
	rejected := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "gateway_connections_refused_total", Help: "Connections that were refused because too many were open.",
	})
	server := &http1.Server{
		Handler: p.gateway, Refuse: p.gateway.refuse, Rejected: rejected.Inc, Settings: p.listenerSettings, Log: p.log,
		Panicked: func(x *exchange.Exchange, value any, stack []byte) {
			p.gateway.panics.Inc()
			p.log.Error("panic in the engine, its connection ended", "service", x.Service, "panic", value, "stack", string(stack))
		},
	}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_connections_open", Help: "Connections of clients that are open.",
	}, func() float64 {
		n, _ := server.Count()
		return float64(n)
	})
	return server, errors.Join(p.meters.Register(rejected), p.meters.Register(open))
}

// listenerSettings are those of the configuration that is served now; before the first one the defaults.
func (p *plane) listenerSettings() http1.Settings {
	snap := p.holder.Load()
	if snap == nil {
		return http1.Settings{}
	}
	return snap.Listener
}
