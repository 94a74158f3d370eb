package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"

	"apigateway/dataplane/internal/handover"
)

// sockets are the listening sockets of a data plane: bound by itself, or taken over from a running process.
type sockets struct {
	public   net.Listener       // nil: bound when the first configuration says where
	admin    net.Listener       // bound from the start
	takeover *handover.Takeover // nil: they are this process's own
	mine     chan struct{}      // closed when this process may accept
}

// openSockets binds the sockets, or with --replace asks a running process for its own.
func openSockets(ctx context.Context, opts Options) (*sockets, error) {
	s := &sockets{mine: make(chan struct{})}
	if opts.Replace {
		err := s.ask(ctx, opts)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, handover.ErrNobody) {
			return nil, fmt.Errorf("--replace: %w", err)
		}
		opts.Log.Info("no data plane to take over from, starting as usual", "cache", opts.Cache)
	}
	close(s.mine)
	var err error
	if s.admin, err = bind("--admin", opts.Admin); err != nil {
		return nil, err
	}
	if opts.Listen == "" {
		return s, nil
	}
	if s.public, err = bind("--listen", opts.Listen); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *sockets) ask(ctx context.Context, opts Options) error {
	t, err := handover.Ask(ctx, opts.Cache, requestOf(opts))
	if err != nil {
		return err
	}
	s.takeover, s.public, s.admin = t, t.Public, t.Admin
	return nil
}

// requestOf is what two processes of which one replaces the other have to agree on.
func requestOf(opts Options) handover.Request {
	return handover.Request{ID: opts.ID, Listen: opts.Listen, Admin: opts.Admin}
}

// take has the running process, if there is one, let go of id and cache.
func (s *sockets) take(ctx context.Context) error {
	if s.takeover == nil {
		return nil
	}
	if err := s.takeover.Take(ctx); err != nil {
		return fmt.Errorf("--replace: %w", err)
	}
	return nil
}

// close ends what the servers have not ended already. A running process that has not been relieved goes on.
func (s *sockets) close() {
	if s.takeover != nil {
		s.takeover.Close()
	}
	for _, l := range []net.Listener{s.public, s.admin} {
		if l != nil {
			_ = l.Close() // an error means that it is closed
		}
	}
}
