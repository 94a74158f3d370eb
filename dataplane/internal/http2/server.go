package http2

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/wire"
)

// Settings are the limits of a connection. Fields that are zero have their default.
type Settings struct {
	IdleTimeout  time.Duration // without a request; 60 s
	BodyTimeout  time.Duration // between two reads of a request's body; 30 s
	WriteTimeout time.Duration // for a client to take a piece of an answer; 60 s
	MaxRequests  int64         // on a connection; 10,000
	MaxAge       time.Duration // of a connection; 1 h
}

func (s Settings) withDefaults() Settings {
	return Settings{
		IdleTimeout:  or(s.IdleTimeout, time.Minute),
		BodyTimeout:  or(s.BodyTimeout, 30*time.Second),
		WriteTimeout: or(s.WriteTimeout, time.Minute),
		MaxRequests:  or(s.MaxRequests, 10_000),
		MaxAge:       or(s.MaxAge, time.Hour),
	}
}

func or[T int64 | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// Server serves HTTP/2 on the connections that it is given. Fields are set before the first one and not changed afterwards; hooks are
// called on requests' goroutines, several at a time.
type Server struct {
	// Handler serves every request that is let in. Never nil.
	Handler http.Handler

	// Settings is asked for each connection. nil: defaults.
	Settings func() Settings

	// Refuse answers a request that is not let in; v is wire.AnswerOptions for OPTIONS *. nil: package refusal answers.
	Refuse func(w http.ResponseWriter, r *http.Request, v *wire.Violation)

	// Panicked is told of a handler's panic, but for http.ErrAbortHandler. The request's stream ends, no other does. nil: it is logged.
	Panicked func(x *exchange.Exchange, value any, stack []byte)

	// Log is for what the hooks are not told. nil: discarded.
	Log *slog.Logger

	busy     atomic.Int64 // requests
	draining atomic.Bool

	mu      sync.Mutex
	conns   map[*conn]struct{}
	leaving bool // connections end once their requests have
	closed  bool
}

// ServeConn serves a connection, which is a *tls.Conn whose handshake is over or in cleartext, and closes it. It returns when the
// connection and all its handlers have ended.
func (s *Server) ServeConn(nc net.Conn) {
	c := s.newConn(nc)
	if !s.add(c) {
		c.cut()
		return
	}
	defer s.remove(c)
	c.serve()
}

// Drain makes the next request on every connection the last that it accepts.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown sends GOAWAY on every connection: those ends once their requests have. It does not wait. Connections that come later are
// treated alike.
func (s *Server) Shutdown() {
	s.Drain()
	s.mu.Lock()
	s.leaving = true
	s.mu.Unlock()
	for _, c := range s.all() {
		c.leave()
	}
}

// Close cuts every connection, also those that come later, and returns how many requests that ended. It does not wait for their handlers.
func (s *Server) Close() (requests int) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	requests = s.Busy()
	for _, c := range s.all() {
		c.cut()
	}
	return requests
}

// Busy returns how many requests are served.
func (s *Server) Busy() int { return int(s.busy.Load()) }

func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.conns == nil {
		s.conns = make(map[*conn]struct{})
	}
	s.conns[c] = struct{}{}
	c.leaving.Store(s.leaving)
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *Server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		list = append(list, c)
	}
	return list
}

func (s *Server) settings() Settings {
	if s.Settings == nil {
		return Settings{}.withDefaults()
	}
	return s.Settings().withDefaults()
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, v *wire.Violation) {
	if s.Refuse != nil {
		s.Refuse(w, r, v)
		return
	}
	if v == wire.AnswerOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	reason, _ := refusal.ByCode(v.Code)
	refusal.WriteCause(w, r, reason, v)
}

func (s *Server) panicked(x *exchange.Exchange, value any, stack []byte) {
	if s.Panicked != nil {
		s.Panicked(x, value, stack)
		return
	}
	s.log().LogAttrs(x, slog.LevelError, "panic in a handler, its request ended",
		slog.Any("panic", value), slog.String("stack", string(stack)))
}
