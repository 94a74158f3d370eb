package proxy

import (
	"context"
	"fmt"
	"time"

	"apigateway/dataplane/internal/configsync"
)

// servePublic binds the public address if it is not bound yet, serves it until ctx ends or another process takes over, and drains it.
func (p *plane) servePublic(ctx context.Context, s *sockets) error {
	if ok, err := p.begin(ctx, s); !ok {
		return err
	}
	public := s.public
	p.log.Info("serving", "http", p.address.get(), "configured", p.holder.Load() != nil)
	if p.opts.Started != nil {
		p.opts.Started(Addresses{HTTP: public.Addr().String(), Admin: p.admin})
	}
	served := make(chan error, 1)
	go func() { served <- p.server.Serve(secured{public, p.holder}) }() //nolint:contextcheck // requests have contexts of their own
	replaced, end := p.offerPlace(ctx, s)
	defer end()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", public.Addr(), err)
	case <-replaced:
		p.leaveAdmin() //nolint:contextcheck // it waits for nothing
		p.drain(0)     //nolint:contextcheck // likewise
	case <-ctx.Done():
		p.drains.Store(true)
		p.drain(p.opts.DrainDelay) //nolint:contextcheck // ctx has ended, the drain has a deadline of its own
	}
	if err := ignoreClosed(<-served); err != nil {
		return fmt.Errorf("serve %s: %w", public.Addr(), err)
	}
	return nil
}

// begin waits until it is time to accept, and reports whether it is: ctx may end before.
func (p *plane) begin(ctx context.Context, s *sockets) (ok bool, err error) {
	switch {
	case s.takeover != nil:
		return p.takeOver(ctx, s)
	case s.public != nil:
		p.waitGrace(ctx)
		return true, nil
	}
	port, ok := p.waitConfigured(ctx)
	if !ok {
		return false, nil
	}
	if s.public, err = bind("port of the configuration, changed by --listen", port); err != nil {
		return false, err
	}
	p.address.set(s.public)
	p.port.Store(&port)
	return true, nil
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
