package proxy

import (
	"context"
	"fmt"
	"net"
	"time"

	"apigateway/dataplane/internal/configsync"
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
	go func() { served <- p.server.Serve(secured{public, p.holder}) }() //nolint:contextcheck // requests have contexts of their own
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
