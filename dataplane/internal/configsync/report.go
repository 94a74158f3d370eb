package configsync

import (
	"maps"
	"sync"

	"google.golang.org/protobuf/proto"

	"apigateway/dataplane/internal/keys"
	"apigateway/dataplane/internal/snapshot"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// breakerFeed tells what changed of the circuit breakers since it was last asked. It is asked by one sender at a time.
type breakerFeed struct {
	live *snapshot.Live
	wake chan struct{} // capacity 1
	told map[string]*gatewayv1.BreakerState

	mu    sync.Mutex
	dirty map[string]struct{} // services whose breaker changed its state
}

func newBreakerFeed(live *snapshot.Live) *breakerFeed {
	f := &breakerFeed{live: live, wake: make(chan struct{}, 1), dirty: map[string]struct{}{}}
	live.OnBreakerChange(f.note)
	return f
}

// note is called on the request path, at each change of state.
func (f *breakerFeed) note(service string) {
	f.mu.Lock()
	f.dirty[service] = struct{}{}
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// all returns every breaker; the first page makes the control plane forget what it was told before.
func (f *breakerFeed) all() []*gatewayv1.BreakerReport {
	f.told = map[string]*gatewayv1.BreakerState{}
	pages := f.moved()
	if len(pages) == 0 {
		pages = []*gatewayv1.BreakerReport{{}}
	}
	pages[0].Reset_ = true
	return pages
}

// changed returns the breakers whose state changed since the last call.
func (f *breakerFeed) changed() []*gatewayv1.BreakerReport {
	f.mu.Lock()
	dirty := f.dirty
	f.dirty = map[string]struct{}{}
	f.mu.Unlock()
	var p breakerPages
	for service := range dirty {
		if s := f.live.BreakerState(service); s != nil {
			f.told[service] = s
			p.add(s)
		}
	}
	return p.pages
}

// moved returns the breakers of which anything changed since they were told, and the services that are gone.
func (f *breakerFeed) moved() []*gatewayv1.BreakerReport {
	var p breakerPages
	gone := maps.Clone(f.told)
	for _, s := range f.live.BreakerStates() {
		delete(gone, s.GetService())
		if old := f.told[s.GetService()]; old == nil || !proto.Equal(old, s) {
			f.told[s.GetService()] = s
			p.add(s)
		}
	}
	for service := range gone {
		delete(f.told, service)
		p.remove(service)
	}
	return p.pages
}

// breakerPages fills pages one after the other.
type breakerPages struct {
	pages []*gatewayv1.BreakerReport
	size  int
}

func (p *breakerPages) page(n int) *gatewayv1.BreakerReport {
	if len(p.pages) == 0 || p.size+n > pageSize {
		p.pages, p.size = append(p.pages, &gatewayv1.BreakerReport{}), 0
	}
	p.size += n
	return p.pages[len(p.pages)-1]
}

func (p *breakerPages) add(s *gatewayv1.BreakerState) {
	page := p.page(proto.Size(s) + 8)
	page.States = append(page.States, s)
}

func (p *breakerPages) remove(service string) {
	page := p.page(len(service) + 8)
	page.Removed = append(page.Removed, service)
}

// usePages turns uses of keys into messages.
func usePages(uses []keys.Use) (pages []*gatewayv1.KeyUses) {
	size := pageSize
	for _, u := range uses {
		if size >= pageSize {
			pages, size = append(pages, &gatewayv1.KeyUses{}), 0
		}
		page := pages[len(pages)-1]
		page.Uses = append(page.Uses, &gatewayv1.KeyUse{Name: u.Name, SecretId: u.SecretID, AtMinute: u.At.Unix() / 60})
		size += len(u.Name) + len(u.SecretID) + 16
	}
	return pages
}
