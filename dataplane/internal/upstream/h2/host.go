package h2

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
)

// firstStreams is how many streams a backend is taken to allow before it has said so: the least that RFC 9113 section
// 6.5.2 recommends.
const firstStreams = 100

var (
	errClosed = errors.New("connections are closed: the gateway stops")
	errGone   = errors.New("host forgotten")
)

// host is the connections to one target.
type host struct {
	pool   *Pool
	target Target
	addr   string      // with a port
	tls    *tls.Config // nil: plain
	gone   atomic.Bool // the pool has forgotten it; set under mu

	conns atomic.Pointer[[]*Conn] // replaced under mu; read without, as Conn's calls may come back here

	mu      sync.Mutex
	waiting int           // requests without a stream
	dials   int           // connects under way
	failed  error         // of the last connect; nil: it did not fail
	streams int           // that the newest connection allowed when it was made
	changed chan struct{} // closed and replaced when it is worth trying again
	closed  bool
}

func newHost(p *Pool, to Target) *host {
	port := "80"
	if to.Secure {
		port = "443"
	}
	name, given, err := net.SplitHostPort(to.Host)
	if err != nil {
		name = to.Host
		if len(name) > 1 && name[0] == '[' {
			name = name[1 : len(name)-1]
		}
	}
	if given == "" {
		given = port
	}
	h := &host{pool: p, target: to, addr: net.JoinHostPort(name, given), streams: firstStreams, changed: make(chan struct{})}
	h.conns.Store(new([]*Conn))
	if to.Secure {
		h.tls = clientConfig(to.Config, name)
	}
	return h
}

// clientConfig completes how TLS is spoken to a backend.
func clientConfig(base *tls.Config, name string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if base != nil {
		config = base.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = name
	}
	config.NextProtos = []string{"h2"}
	config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	return config
}

// reserve is Pool.Reserve for a host, which may have been forgotten.
func (h *host) reserve(ctx context.Context) (*Conn, error) {
	if c := h.free(); c != nil {
		return c, nil
	}
	if !h.wait() {
		return nil, errGone
	}
	defer h.stopWaiting()
	for {
		changed, err := h.dialMore()
		if err != nil {
			return nil, err
		}
		if c := h.free(); c != nil { // since the last look, and before changed was taken
			return c, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if c := h.free(); c != nil {
			return c, nil
		}
		if err := h.hopeless(); err != nil {
			return nil, err
		}
	}
}

// wait counts a request without a stream. It reports whether the host is still the pool's.
func (h *host) wait() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone.Load() {
		return false
	}
	h.waiting++
	return true
}

func (h *host) stopWaiting() {
	h.mu.Lock()
	h.waiting--
	unused := h.unusedLocked()
	h.mu.Unlock()
	if unused {
		h.pool.forget(h)
	}
}

func (h *host) unusedLocked() bool {
	return h.waiting == 0 && h.dials == 0 && len(*h.conns.Load()) == 0
}

// free returns a connection that has room.
func (h *host) free() *Conn {
	for _, c := range *h.conns.Load() {
		if !c.retired.Load() && c.cc.Reserve() == nil {
			return c
		}
	}
	return nil
}

// dialMore begins a connect if those under way are not enough for who waits, and returns what tells of a change.
func (h *host) dialMore() (changed <-chan struct{}, err error) {
	s, ok := h.pool.begin()
	if !ok {
		return nil, errClosed
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting <= h.dials*h.streams {
		h.pool.work.Done()
		return h.changed, nil
	}
	h.dials++
	h.failed = nil
	go func() {
		defer h.pool.work.Done()
		c, err := dial(h.pool.ctx, h, s)
		h.dialed(c, err)
	}()
	return h.changed, nil
}

// dialed takes over what a connect came to.
func (h *host) dialed(c *Conn, err error) {
	h.mu.Lock()
	h.dials--
	h.failed = err
	if err == nil {
		h.streams = max(1, c.cc.Available())
		if h.closed {
			defer func() { _ = c.cc.Close() }()
		} else {
			h.conns.Store(new(append(slices.Clone(*h.conns.Load()), c)))
		}
	}
	h.wakeLocked()
	h.mu.Unlock()
	if err == nil {
		c.cc.SetStateHook(c.stateChanged)
	}
	h.pool.forget(h)
}

// hopeless returns why the last connect failed, if none is under way any more.
func (h *host) hopeless() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dials == 0 {
		return h.failed
	}
	return nil
}

func (h *host) wakeLocked() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// wake tells those who wait, if anybody does, that a stream may be free.
func (h *host) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting > 0 {
		h.wakeLocked()
	}
}

// remove takes a connection out of use for requests to come.
func (h *host) remove(c *Conn) {
	h.mu.Lock()
	h.conns.Store(new(slices.DeleteFunc(slices.Clone(*h.conns.Load()), func(other *Conn) bool { return other == c })))
	h.wakeLocked()
	h.mu.Unlock()
	h.pool.forget(h)
}

// leave makes the host one that is gone, if nobody uses it.
func (h *host) leave() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.unusedLocked() {
		return false
	}
	h.gone.Store(true)
	return true
}

func (h *host) close() {
	h.mu.Lock()
	h.closed = true
	conns := *h.conns.Load()
	h.mu.Unlock()
	for _, c := range conns {
		_ = c.cc.Close() // comes back to remove
	}
}
