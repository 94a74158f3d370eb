package http1

import (
	"context"
	"slices"
	"time"
)

// drainIdle is how long an idle connection may wait for one more request once the server shuts down.
const drainIdle = 5 * time.Second

// Drain makes every answer from now on the last of its connection. Connections are still accepted.
func (s *Server) Drain() {
	s.init()
	s.draining.Store(true)
	if s.HTTP2 != nil {
		s.HTTP2.Drain()
	}
}

// Shutdown stops accepting, lets requests finish, and idle connections end with their next answer or after 5 s. It returns nil when none is
// left, or the context's error; connections go on then, see Close. Hijacked ones are not waited for.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	s.stop(s.clock.after(drainIdle - tick))
	if s.HTTP2 != nil {
		s.HTTP2.Shutdown()
	}
	select {
	case <-s.quiet:
		<-s.swept
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close stops accepting, cuts every connection and returns how many requests that ended. It does not wait for their handlers.
func (s *Server) Close() (requests int) {
	s.Drain()
	open := s.stop(0)
	if s.HTTP2 != nil {
		requests = s.HTTP2.Close()
	}
	for _, c := range open {
		if c.cutOff() {
			requests++
		}
	}
	return requests
}

// stop closes the listeners and returns the connections that are open.
func (s *Server) stop(idleEnd int64) (open []*conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing || idleEnd == 0 {
		s.idleEnd = idleEnd
	}
	s.closing = true
	for l := range s.listeners {
		_ = l.Close() // it may be closed already
	}
	clear(s.listeners)
	if !s.sweeping { // never served
		s.sweeping = true
		close(s.swept)
	}
	s.quietLocked()
	return s.openLocked(nil)
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

func (s *Server) openLocked(open []*conn) []*conn {
	open = slices.Grow(open, len(s.conns))
	for c := range s.conns {
		open = append(open, c)
	}
	return open
}

// quietLocked tells who waits that the last connection has ended.
func (s *Server) quietLocked() {
	if !s.closing || s.accepting > 0 || len(s.conns) > 0 {
		return
	}
	select {
	case <-s.quiet:
	default:
		close(s.quiet)
	}
}

// sweep moves the clock and looks at every connection, until the server has ended.
func (s *Server) sweep() {
	defer close(s.swept)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var open []*conn
	for {
		select {
		case <-s.quiet:
			return
		case now := <-ticker.C:
			s.clock.set(now)
		}
		s.mu.Lock()
		open = s.openLocked(open[:0])
		idle := s.clock.passed(s.idleEnd)
		s.mu.Unlock()
		for _, c := range open {
			c.sweep(idle)
		}
		clear(open)
	}
}
