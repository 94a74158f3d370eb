package upstream

import (
	"sync"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/keys"
)

// Tunnels knows every tunnel and stream (text/event-stream, application/grpc*) that is open on this data plane, so that
// the end of a key or of the process can end them. The zero value is ready for use.
type Tunnels struct {
	mu   sync.Mutex
	open map[*tunnelEntry]struct{}
}

// tunnelEntry is one open tunnel or stream.
type tunnelEntry struct {
	hash   keys.Hash
	keyed  bool // hash means something
	tunnel bool // no request is under way any more, as one is in a stream

	mu  sync.Mutex
	cut func() // nil: removed, what it would end may serve another request by now
}

func (e *tunnelEntry) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cut != nil {
		e.cut()
	}
}

// add notes an open tunnel or stream; cut ends it, and may be called from any goroutine, several times, until the caller
// has removed the entry. It must not remove it itself.
func (t *Tunnels) add(x *exchange.Exchange, cut func()) *tunnelEntry {
	e := &tunnelEntry{hash: x.KeyHash, keyed: x.Key != nil, tunnel: x.Tunnel, cut: cut}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = make(map[*tunnelEntry]struct{})
	}
	t.open[e] = struct{}{}
	return e
}

func (t *Tunnels) remove(e *tunnelEntry) {
	t.mu.Lock()
	delete(t.open, e)
	t.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cut = nil
}

// Len returns how many are open.
func (t *Tunnels) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

// CloseIf ends those whose key's secret ended says is over, and returns how many. Those without a key stay. ended is
// called with no lock held. To keep the promise that revocation ends them within 5 s, call it more often than that.
func (t *Tunnels) CloseIf(ended func(keys.Hash) bool) int {
	return t.cut(func(e *tunnelEntry) bool { return e.keyed && ended(e.hash) })
}

// Close ends all of them and returns how many tunnels it ended: a stream is a request under way, and counted among those.
// New ones may still be opened.
func (t *Tunnels) Close() (tunnels int) {
	t.cut(func(e *tunnelEntry) bool {
		if e.tunnel {
			tunnels++
		}
		return true
	})
	return tunnels
}

func (t *Tunnels) cut(which func(*tunnelEntry) bool) (n int) {
	for _, e := range t.all() {
		if which(e) {
			e.end()
			n++
		}
	}
	return n
}

func (t *Tunnels) all() []*tunnelEntry {
	t.mu.Lock()
	defer t.mu.Unlock()
	entries := make([]*tunnelEntry, 0, len(t.open))
	for e := range t.open {
		entries = append(entries, e)
	}
	return entries
}
