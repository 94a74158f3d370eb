package h2

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Settings are those of a Pool. None may be zero.
type Settings struct {
	IdleTimeout         time.Duration // after which a connection without streams is closed
	ConnectTimeout      time.Duration // until TCP stands, and again until SETTINGS are here
	TLSHandshakeTimeout time.Duration
	WriteTimeout        time.Duration // after which a connection that takes no byte is closed
}

// Pool keeps connections by scheme, host and TLS settings. Make it with NewPool.
type Pool struct {
	ctx  context.Context //nolint:containedctx // of the connects, which outlive the request that began them
	end  context.CancelFunc
	work sync.WaitGroup // connects under way

	mu       sync.Mutex
	settings Settings
	hosts    map[Target]*host
	closed   bool
}

// Target is what a connection leads to. Those to different targets are never shared.
type Target struct {
	Secure bool   // over TLS
	Host   string // with a port or not
	// Config is how TLS is spoken; without a server name that is the host's. It must not change, and is compared as a
	// pointer. nil: the system's authorities, no certificate.
	Config *tls.Config
}

// Slot remembers the host of one backend, so that it need not be looked up. The zero value is empty.
type Slot struct{ host atomic.Pointer[host] }

// NewPool returns an empty pool. Close it.
func NewPool(s Settings) *Pool {
	ctx, end := context.WithCancel(context.Background())
	return &Pool{ctx: ctx, end: end, settings: s, hosts: make(map[Target]*host)}
}

// Update changes the settings, for connections to come.
func (p *Pool) Update(s Settings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settings = s
}

// Close closes every connection, also those in use, and awaits the connects under way.
func (p *Pool) Close() {
	p.end()
	p.mu.Lock()
	p.closed = true
	hosts := p.hosts
	p.hosts = nil
	p.mu.Unlock()
	for _, h := range hosts {
		h.close()
	}
	p.work.Wait()
}

// Len returns how many connections there are.
func (p *Pool) Len() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.hosts {
		n += len(*h.conns.Load())
	}
	return n
}

// Reserve returns a connection with a stream for one request, which Conn.RoundTrip has to be called for. It waits
// until there is one, no connect is left to hope for, or ctx ends; in the last case the error is the cause of that. slot
// may be nil.
func (p *Pool) Reserve(ctx context.Context, slot *Slot, to Target) (*Conn, error) {
	for {
		c, err := p.host(slot, to).reserve(ctx)
		if !errors.Is(err, errGone) {
			return c, err
		}
	}
}

func (p *Pool) host(slot *Slot, to Target) *host {
	if slot == nil {
		return p.lookUp(to)
	}
	if h := slot.host.Load(); h != nil && h.pool == p && h.target == to && !h.gone.Load() {
		return h
	}
	h := p.lookUp(to)
	slot.host.Store(h)
	return h
}

func (p *Pool) lookUp(to Target) *host {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.hosts[to]; h != nil {
		return h
	}
	h := newHost(p, to)
	if !p.closed {
		p.hosts[to] = h
	}
	return h
}

// begin returns the settings of a connect that is about to begin, false if the pool is closed. Call p.work.Done at its end.
func (p *Pool) begin() (Settings, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return Settings{}, false
	}
	p.work.Add(1)
	return p.settings, true
}

// forget drops a host that nobody uses: one that is wanted again is made anew.
func (p *Pool) forget(h *host) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.leave() && p.hosts[h.target] == h {
		delete(p.hosts, h.target)
	}
}
