package h1

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Host is one scheme, host and port with its idle connections.
type Host struct {
	pool   *Pool
	addr   string
	config *tls.Config // that it was asked for with
	tls    *tls.Config // nil: plain
	gone   atomic.Bool // the pool has forgotten it; nothing becomes idle any more

	mu   sync.Mutex
	idle []*Conn // the one used last at the end
	used uint32  // tick of the last use
}

func newHost(p *Pool, key hostKey) *Host {
	host, port := key.host, "80"
	h := &Host{pool: p, config: key.config, used: p.tick.Load()}
	if key.scheme == "https" {
		port = "443"
	}
	name, given, err := net.SplitHostPort(host)
	if err != nil {
		name = host
		if len(name) > 1 && name[0] == '[' {
			name = name[1 : len(name)-1]
		}
		given = port
	}
	if given == "" {
		given = port
	}
	h.addr = net.JoinHostPort(name, given)
	if key.scheme == "https" {
		h.tls = p.clientConfig(key.config, name)
	}
	return h
}

// clientConfig completes how TLS is spoken to a backend.
func (p *Pool) clientConfig(base *tls.Config, name string) *tls.Config {
	config := &tls.Config{RootCAs: p.roots, MinVersion: tls.VersionTLS12}
	if base != nil {
		config = base.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = name
	}
	config.NextProtos = []string{"http/1.1"}
	config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	return config
}

// Idle returns an idle connection that is alive, nil if there is none.
func (h *Host) Idle() *Conn {
	for {
		c := h.take()
		if c == nil {
			return nil
		}
		if c.alive() {
			c.Reused = true
			return c
		}
		_ = c.Close()
	}
}

func (h *Host) take() *Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.used = h.pool.tick.Load()
	n := len(h.idle) - 1
	if n < 0 {
		return nil
	}
	c := h.idle[n]
	h.idle[n] = nil
	h.idle = h.idle[:n]
	h.pool.idle.Add(-1)
	return c
}

// put keeps c, and reports whether it did. Where too many are idle, the one of this host that has been for longest goes.
func (h *Host) put(c *Conn) bool {
	old, kept := h.keep(c)
	if old != nil {
		_ = old.Close()
	}
	return kept
}

// keep returns the connection that c takes the place of, nil if there is room.
func (h *Host) keep(c *Conn) (old *Conn, kept bool) {
	s := h.pool.settings.Load()
	h.mu.Lock()
	defer h.mu.Unlock()
	full := h.pool.idle.Add(1) > int64(s.MaxIdle) || len(h.idle) >= s.MaxIdlePerHost
	switch {
	case h.gone.Load(), full && len(h.idle) == 0:
		h.pool.idle.Add(-1)
		return nil, false
	case full:
		h.pool.idle.Add(-1)
		old = h.idle[0]
		h.idle = append(h.idle[:0], h.idle[1:]...)
	}
	c.tick = h.pool.tick.Load()
	h.used = c.tick
	h.idle = append(h.idle, c)
	return old, true
}

// leave closes what has been idle since before the last looks, or all of it. It reports whether the host has been of no
// use for as long, in which case it is of none from now on.
func (h *Host) leave(now uint32, all bool) (gone bool) {
	h.mu.Lock()
	n := 0 // the oldest come first
	for n < len(h.idle) && (all || now-h.idle[n].tick > ticks) {
		n++
	}
	old := append([]*Conn(nil), h.idle[:n]...)
	rest := copy(h.idle, h.idle[n:])
	clear(h.idle[rest:])
	h.idle = h.idle[:rest]
	gone = all || rest == 0 && now-h.used > ticks
	h.gone.Store(gone)
	h.mu.Unlock()
	h.pool.idle.Add(-int64(n))
	for _, c := range old {
		_ = c.Close()
	}
	return gone
}

// Connect makes a new connection, which has to stand by a time if that is not zero.
func (h *Host) Connect(ctx context.Context, by time.Time) (*Conn, error) {
	s := h.pool.settings.Load()
	d := net.Dialer{Timeout: s.ConnectTimeout, Deadline: by}
	raw, err := d.DialContext(ctx, "tcp", h.addr)
	if err != nil {
		return nil, err
	}
	c := newConn(raw)
	c.host = h
	if h.tls == nil {
		return c, nil
	}
	c.tcp = nil
	c.sec = tls.Client(link{raw, c}, h.tls)
	if err := c.handshake(ctx, s.TLSHandshakeTimeout); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("TLS handshake with %s: %w", h.addr, err)
	}
	return c, nil
}

// handshake leaves no deadline behind that has passed: TLS does not survive one in a write.
func (c *Conn) handshake(ctx context.Context, timeout time.Duration) error {
	c.armed = time.Now().Add(timeout)
	if err := c.raw.SetDeadline(c.armed); err != nil {
		return err
	}
	if err := c.sec.HandshakeContext(ctx); err != nil {
		return err
	}
	if p := c.sec.ConnectionState().NegotiatedProtocol; p != "" && p != "http/1.1" {
		return fmt.Errorf("negotiated %q (want http/1.1)", p)
	}
	return nil
}
