//go:build !unix

package handover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

var errUnsupported = fmt.Errorf("handover: sockets cannot be passed between processes here: %w", errors.ErrUnsupported)

// Host is the running data plane.
type Host interface {
	Offer(Request) (Sockets, Terms, error)
	Release(ctx context.Context) error
	Resume(ctx context.Context)
}

// Server would wait for a new process.
type Server struct{}

// Listen is not supported here.
func Listen(string, *slog.Logger) (*Server, error) { return nil, errUnsupported }

// Serve returns false.
func (s *Server) Serve(context.Context, Host) bool { return false }

// Takeover would be a new process's side.
type Takeover struct {
	Sockets
	Terms
}

// Ask is not supported here.
func Ask(context.Context, string, Request) (*Takeover, error) { return nil, errUnsupported }

// Take fails.
func (t *Takeover) Take(context.Context) error { return errUnsupported }

// Ready fails.
func (t *Takeover) Ready(context.Context) error { return errUnsupported }

// Close does nothing.
func (t *Takeover) Close() {}
