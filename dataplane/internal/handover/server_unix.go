//go:build unix

package handover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"time"
)

// Host is the running data plane. Its methods are called in the order of the protocol, one at a time.
type Host interface {
	// Offer returns what goes over to a process that asks like that, or why nothing does.
	Offer(Request) (Sockets, Terms, error)
	// Release lets id and cache go. An error means that nothing has changed.
	Release(ctx context.Context) error
	// Resume takes them back. It is called after Release if nobody took over, unless ctx of Serve has ended.
	Resume(ctx context.Context)
}

// Server waits for a new process.
type Server struct {
	listener *net.UnixListener
	path     string
	log      *slog.Logger
	patience patience
}

// maxPath is what every system takes as the path of a socket.
const maxPath = 103

// Listen makes the socket in folder, which has to be this process's alone by its lock.
func Listen(folder string, log *slog.Logger) (*Server, error) {
	path := socketPath(folder)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a process that was killed, or handed over
		return nil, fmt.Errorf("handover: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("handover: %w (want a path of at most %d bytes, got %d)", err, maxPath, len(path))
	}
	l.SetUnlinkOnClose(false) // the next process may have made its own by then
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("handover: %w", err), l.Close())
	}
	return &Server{listener: l, path: path, log: log, patience: unhurried}, nil
}

// Serve answers new processes, one after the other, until one has taken over: then it returns true, and the host stops accepting. It
// returns false when ctx ends; a process that was released to goes on alone then.
func (s *Server) Serve(ctx context.Context, host Host) (handedOver bool) {
	stop := context.AfterFunc(ctx, func() { _ = s.listener.Close() })
	defer func() {
		if stop() {
			_ = s.listener.Close() // nobody else does
		}
		if !handedOver {
			_ = os.Remove(s.path) // it may stay: nobody answers there
		}
	}()
	for {
		conn, err := s.listener.AcceptUnix()
		if err != nil {
			if ctx.Err() == nil {
				s.log.Error("cannot be replaced in place any more", "err", err)
			}
			return false
		}
		if s.serve(ctx, conn, host) {
			return true
		}
	}
}

func (s *Server) serve(ctx context.Context, conn *net.UnixConn, host Host) (handedOver bool) {
	defer func() { _ = conn.Close() }() // everything was said
	end := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer end()
	c := &channel{conn}
	released, err := s.exchange(ctx, c, host)
	if err == nil {
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	if gone(err) {
		err = errors.New("the new process has ended")
	} else {
		_ = c.send(message{Step: stepRefused, Error: err.Error()}) // it may have gone by now
	}
	s.log.Warn("not replaced, goes on", "err", err)
	if released {
		host.Resume(ctx)
	}
	return false
}

// exchange is the protocol. released says that the host has let go of id and cache.
func (s *Server) exchange(ctx context.Context, c *channel, host Host) (released bool, err error) {
	m, _, err := c.receive(stepRequest, s.patience.step, 0)
	if err != nil {
		return false, err
	}
	if m.Request == nil {
		return false, errors.New("request: got none")
	}
	sockets, terms, err := host.Offer(*m.Request)
	if err != nil {
		return false, err
	}
	if err := c.send(message{Step: stepOffer, Terms: &terms}, sockets.Public, sockets.Admin); err != nil {
		return false, err
	}
	if _, _, err := c.receive(stepTake, s.patience.step, 0); err != nil {
		return false, err
	}
	s.log.Info("handing over to a new process")
	if err := host.Release(ctx); err != nil {
		return false, err
	}
	if err := c.send(message{Step: stepFree}); err != nil {
		return true, err
	}
	if _, _, err := c.receive(stepReady, s.patience.ready, 0); err != nil {
		return true, err
	}
	return true, c.send(message{Step: stepYours})
}
