package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"apigateway/dataplane/internal/configsync"
	"apigateway/dataplane/internal/wire"
)

// Times that hold before a configuration has said otherwise.
const (
	defaultHeadTimeout = 10 * time.Second
	defaultIdleTimeout = time.Minute
	defaultMaxConns    = 10_000
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
	} else {
		p.waitGrace(ctx)
	}
	server := p.newServer()
	p.log.Info("serving", "http", public.Addr().String(), "configured", p.holder.Load() != nil)
	if p.opts.Started != nil {
		p.opts.Started(Addresses{HTTP: public.Addr().String(), Admin: p.admin})
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(public) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", public.Addr(), err)
	case <-ctx.Done():
	}
	p.drain(server, public)
	if err := ignoreClosed(<-served); err != nil {
		return fmt.Errorf("serve %s: %w", public.Addr(), err)
	}
	return nil
}

// waitGrace gives the control plane or the cache a moment to bring the first configuration, as the server's timeouts are fixed once it
// serves. Connections wait in the listener's queue meanwhile.
func (p *plane) waitGrace(ctx context.Context) {
	grace := time.NewTimer(2 * configsync.Grace)
	defer grace.Stop()
	select {
	case <-p.sync.Configured():
	case <-grace.C:
	case <-ctx.Done():
	}
}

func (p *plane) newServer() *http.Server {
	head, idle := defaultHeadTimeout, defaultIdleTimeout
	if snap := p.holder.Load(); snap != nil {
		start := p.startSettings(snap)
		p.started.Store(&start)
		head, idle = time.Duration(start.head)*time.Millisecond, time.Duration(start.idle)*time.Millisecond
	}
	return &http.Server{
		Handler:                      p.gateway,
		ReadHeaderTimeout:            head,
		IdleTimeout:                  idle,
		MaxHeaderBytes:               wire.MaxHead,
		DisableGeneralOptionsHandler: true,
		ConnState:                    p.conns.track,
		ConnContext:                  withConnAge,
		ErrorLog:                     slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
}

func (p *plane) newConns() (*conns, error) {
	refused := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "gateway_connections_refused_total", Help: "Connections that were refused because too many were open.",
	})
	files := fileLimit()
	limit := func() int64 {
		configured := int64(defaultMaxConns)
		if snap := p.holder.Load(); snap != nil {
			configured = snap.Settings.GetListener().GetMaxConnections()
		}
		return min(configured, files/10*9)
	}
	c := newConns(limit, refused.Inc)
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_connections_open", Help: "Connections of clients that are open, without tunnels.",
	}, func() float64 {
		n, _ := c.count()
		return float64(n)
	})
	return c, errors.Join(p.meters.Register(refused), p.meters.Register(open))
}
