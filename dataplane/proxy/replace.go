package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"apigateway/dataplane/internal/cache"
	"apigateway/dataplane/internal/handover"
)

// takeOver waits until this process has a configuration and then has the running one stop accepting. It reports whether this one is to
// serve; ctx may have ended.
func (p *plane) takeOver(ctx context.Context, s *sockets) (ok bool, err error) {
	limit := time.NewTimer(handover.ReadyWithin)
	defer limit.Stop()
	select {
	case <-p.sync.Configured():
	case <-limit.C:
		return false, fmt.Errorf("--replace: no configuration within %v, the running data plane goes on (want one that can be served, see the log)", handover.ReadyWithin)
	case <-ctx.Done():
		return false, nil
	}
	if err := s.takeover.Ready(ctx); err != nil {
		return false, fmt.Errorf("--replace: %w", err)
	}
	s.takeover.Close()
	s.takeover = nil
	if port := p.replaced; port != "" {
		p.port.Store(&port)
	}
	close(s.mine)
	p.log.Info("took over from the running data plane", "http", p.address.get(), "admin", p.admin)
	return true, nil
}

// offerPlace waits for a new process of the same id and cache, and returns a channel that is closed when one has taken over. end ends
// that and waits for it.
func (p *plane) offerPlace(ctx context.Context, s *sockets) (replaced <-chan struct{}, end func()) {
	done, over := make(chan struct{}), make(chan struct{})
	if p.dir == nil || p.dir.Unwritable() != nil {
		return done, func() {}
	}
	server, err := handover.Listen(p.dir.Path(), p.log)
	if err != nil {
		p.log.Warn("cannot be replaced in place", "err", err)
		return done, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(over)
		if server.Serve(ctx, &incumbent{p, handover.Sockets{Public: s.public, Admin: s.admin}}) {
			close(done)
		}
	}()
	return done, func() {
		cancel()
		<-over
	}
}

// incumbent is a data plane that can be replaced. It implements handover.Host.
type incumbent struct {
	*plane
	sockets handover.Sockets
}

// Offer refuses a process that would serve something else.
func (i *incumbent) Offer(r handover.Request) (handover.Sockets, handover.Terms, error) {
	own := requestOf(i.opts)
	for _, is := range []struct{ flag, got, want string }{
		{"--id", r.ID, own.ID}, {"--listen", r.Listen, own.Listen}, {"--admin", r.Admin, own.Admin},
	} {
		if is.got != is.want {
			return handover.Sockets{}, handover.Terms{}, fmt.Errorf("%s: got %q (want %q, as the running data plane has: only another start can change it)", is.flag, is.got, is.want)
		}
	}
	var terms handover.Terms
	if port := i.port.Load(); port != nil {
		terms.Port = *port
	}
	return i.sockets, terms, nil
}

// Release ends the stream of this id and closes the cache, whose lock goes with that.
func (i *incumbent) Release(ctx context.Context) error {
	if err := i.sync.HandOver(ctx); err != nil {
		return err
	}
	if err := i.closeCache(); err != nil {
		i.log.Warn("cache not closed well", "err", err)
	}
	return nil
}

// The cache of a process that has failed is free at once, that of one that stands still is not.
const (
	reopenWithin = 10 * time.Second
	reopenEvery  = 50 * time.Millisecond
)

// Resume opens the cache again and takes the id back.
func (i *incumbent) Resume(ctx context.Context) {
	if err := i.reopen(ctx); err != nil {
		i.log.Error("cache cannot be taken back, goes on without: a restart needs the control plane", "err", err)
	}
	if err := i.sync.TakeBack(ctx, i.dir); err != nil {
		i.log.Debug("id not taken back, the data plane ends", "err", err)
	}
}

func (i *incumbent) reopen(ctx context.Context) (err error) {
	again := time.NewTicker(reopenEvery)
	defer again.Stop()
	limit := time.NewTimer(reopenWithin)
	defer limit.Stop()
	for {
		if i.dir, err = cache.Open(i.opts.Cache); !errors.Is(err, cache.ErrLocked) {
			return err
		}
		select {
		case <-again.C:
		case <-limit.C:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// leaveAdmin stops accepting on the admin address, which is another process's now. What is under way there ends as it may.
func (p *plane) leaveAdmin() {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.adminServer.Shutdown(now) // says that something is under way
}
