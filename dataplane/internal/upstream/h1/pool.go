package h1

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
	"sync/atomic"
	"time"
)

// Settings are those of a Pool. None may be zero.
type Settings struct {
	MaxIdle             int           // connections kept idle
	MaxIdlePerHost      int           // of them per scheme, host and port
	IdleTimeout         time.Duration // after which an idle one is closed, at most a quarter later
	ConnectTimeout      time.Duration
	TLSHandshakeTimeout time.Duration
}

// ticks is how many times the pool looks for connections that have been idle for too long within their time.
const ticks = 4

// Pool keeps connections for reuse. Safe for concurrent use; make it with NewPool.
type Pool struct {
	settings atomic.Pointer[Settings]
	roots    *x509.CertPool // that backends are checked against; nil: the system's
	idle     atomic.Int64
	tick     atomic.Uint32 // counts the looks

	mu     sync.Mutex
	hosts  map[hostKey]*Host
	timer  *time.Timer // of the next look; nil: there are no hosts
	closed bool
}

// hostKey says which connections are of one kind: those with other TLS settings are never shared.
type hostKey struct {
	scheme, host string
	config       *tls.Config
}

// Slot remembers the host of one backend, so that it need not be looked up. The zero value is empty.
type Slot struct{ host atomic.Pointer[Host] }

// NewPool returns an empty pool. roots are the certificates that backends are checked against; nil: the system's. Close
// it.
func NewPool(s Settings, roots *x509.CertPool) *Pool {
	p := &Pool{roots: roots, hosts: make(map[hostKey]*Host)}
	p.settings.Store(&s)
	return p
}

// Update changes the settings. What is idle stays, and ends by the new ones.
func (p *Pool) Update(s Settings) {
	p.settings.Store(&s)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Reset(p.interval())
	}
}

// Close closes what is idle. Connections in use are closed when they are put back.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	for key, h := range p.hosts {
		h.leave(0, true)
		delete(p.hosts, key)
	}
}

// Idle returns how many connections are idle.
func (p *Pool) Idle() int { return int(p.idle.Load()) }

// Host returns the host of a backend, scheme being http or https and host having a port or not. config is how TLS is
// spoken; without a server name that is the host's. It must not change, and is compared as a pointer; nil: the pool's
// roots, no certificate. slot may be nil.
func (p *Pool) Host(slot *Slot, scheme, host string, config *tls.Config) *Host {
	key := hostKey{scheme, host, config}
	if slot == nil {
		return p.lookUp(key)
	}
	if h := slot.host.Load(); h != nil && h.pool == p && h.config == config && !h.gone.Load() {
		return h
	}
	h := p.lookUp(key)
	slot.host.Store(h)
	return h
}

func (p *Pool) lookUp(key hostKey) *Host {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.hosts[key]; h != nil {
		return h
	}
	h := newHost(p, key)
	if p.closed {
		h.gone.Store(true)
		return h
	}
	p.hosts[key] = h
	if p.timer == nil {
		p.timer = time.AfterFunc(p.interval(), p.look)
	} else if len(p.hosts) == 1 {
		p.timer.Reset(p.interval())
	}
	return h
}

func (p *Pool) interval() time.Duration { return p.settings.Load().IdleTimeout / ticks }

// look closes what has been idle for too long and forgets hosts that nobody uses.
func (p *Pool) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.tick.Add(1)
	for key, h := range p.hosts {
		if h.leave(now, false) {
			delete(p.hosts, key)
		}
	}
	if len(p.hosts) > 0 && !p.closed {
		p.timer.Reset(p.interval())
	}
}
