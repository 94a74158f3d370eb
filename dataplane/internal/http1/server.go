package http1

import (
	"context"
	"errors"
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

// Server serves HTTP/1.1. Fields are set before Serve and not changed afterwards; hooks are called on connections' goroutines, several at a
// time.
type Server struct {
	// Handler serves every request that is let in. Never nil.
	Handler http.Handler

	// Settings is asked for each connection and each request, so that a change counts from the next one on. nil: defaults.
	Settings func() Settings

	// Refuse answers a request that is not let in; v is wire.AnswerOptions for OPTIONS *. The request has what could be read of it. The
	// connection ends with the answer, but for OPTIONS *. nil: package refusal answers.
	Refuse func(w http.ResponseWriter, r *http.Request, v *wire.Violation)

	// Rejected is told of each connection that was closed unheard as too many were open. nil: nobody is.
	Rejected func()

	// Panicked is told of a handler's panic, but for http.ErrAbortHandler. The request's connection ends, no other does. nil: it is logged.
	Panicked func(x *exchange.Exchange, value any, stack []byte)

	// HTTP2 serves connections that speak HTTP/2, by ALPN or by prior knowledge. nil: they are refused.
	HTTP2 HTTP2

	// NoHandshake is told of each TLS handshake that came to nothing. nil: nobody is.
	NoHandshake func(remote string, err error)

	// Log is for what the hooks are not told. nil: discarded.
	Log *slog.Logger

	portable bool // as on systems without what Linux has; for tests

	once     sync.Once
	clock    *clock
	draining atomic.Bool
	quiet    chan struct{} // closed once no connection is left and none will come
	swept    chan struct{} // closed when the sweep has ended

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	accepting int // calls of Serve that run
	sweeping  bool
	closing   bool
	idleEnd   int64 // on the clock; 0: idle connections may go on
}

// HTTP2 is what serves HTTP/2 beside a Server, which owns its connections: they count as open, and end with the Server.
type HTTP2 interface {
	// ServeConn returns when the connection, a *tls.Conn or what a client in cleartext is on, and all its handlers have ended.
	ServeConn(nc net.Conn)
	// Drain makes the next answer on every connection the last.
	Drain()
	// Shutdown lets every connection end once its requests have. It does not wait.
	Shutdown()
	// Close cuts every connection and returns how many requests that ended. It does not wait for their handlers.
	Close() (requests int)
	// Busy returns how many requests are served.
	Busy() int
}

func (s *Server) init() {
	s.once.Do(func() {
		s.clock = newClock()
		s.quiet, s.swept = make(chan struct{}), make(chan struct{})
		s.listeners, s.conns = make(map[net.Listener]struct{}), make(map[*conn]struct{})
		if s.Log == nil {
			s.Log = slog.New(slog.DiscardHandler)
		}
	})
}

// Serve accepts connections and serves each on a goroutine of its own. It returns http.ErrServerClosed after Shutdown or Close, and closes
// the listener.
func (s *Server) Serve(l net.Listener) error {
	s.init()
	defer l.Close() // closed already as a rule
	if !s.begin(l) {
		return http.ErrServerClosed
	}
	defer s.acceptsNoMore()
	for pause := time.Duration(0); ; {
		nc, err := l.Accept()
		if err == nil {
			pause = 0
			s.admit(nc)
			continue
		}
		if s.isClosing() {
			return http.ErrServerClosed
		}
		if !isPassing(err) {
			return err
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.Log.Warn("connection not accepted, trying again", "err", err, "pause", pause)
		s.rest(pause)
	}
}

// isPassing reports whether Accept may succeed later: no descriptors are left, or a client has gone already.
func isPassing(err error) bool {
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary()
}

func (s *Server) rest(pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.quiet:
	}
}

func (s *Server) begin(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.listeners[l] = struct{}{}
	s.accepting++
	if !s.sweeping {
		s.sweeping = true
		go s.sweep()
	}
	return true
}

func (s *Server) acceptsNoMore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepting--
	s.quietLocked()
}

// admit starts a connection, or closes it if too many are open. One that was accepted in the moment of Shutdown is served: its client
// knows nothing of that, and may not have been meant for this process (a listener can be shared).
func (s *Server) admit(nc net.Conn) {
	limit := s.settings().MaxConns
	c, enough := s.newConn(nc), !scarce(socketOf(nc))
	s.mu.Lock()
	ok := enough && (!s.closing || s.idleEnd != 0) && len(s.conns) < limit
	if ok {
		s.conns[c] = struct{}{}
	}
	s.mu.Unlock()
	if ok {
		go c.serve()
		return
	}
	if s.Rejected != nil {
		s.Rejected()
	}
	_ = nc.Close() // it is refused either way
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.quietLocked()
}

// Count returns how many connections are open, and how many requests are served. Hijacked ones are the hijacker's.
func (s *Server) Count() (open, busy int) {
	if s.HTTP2 != nil {
		busy = s.HTTP2.Busy()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.busy.Load() {
			busy++
		}
	}
	return len(s.conns), busy
}

func (s *Server) settings() Settings {
	if s.Settings == nil {
		return Settings{}.withDefaults()
	}
	return s.Settings().withDefaults()
}

func (s *Server) refuse(w *Writer, r *http.Request, v *wire.Violation) {
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
	s.Log.LogAttrs(context.Background(), slog.LevelError, "panic in a handler, its connection ended",
		slog.Any("panic", value), slog.String("stack", string(stack)))
}
