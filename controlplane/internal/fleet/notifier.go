package fleet

import "sync"

// notifier wakes any number of waiters without blocking the one who notifies.
type notifier struct {
	mu      sync.Mutex
	waiters map[chan struct{}]struct{}
}

func (n *notifier) subscribe() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiters == nil {
		n.waiters = make(map[chan struct{}]struct{})
	}
	n.waiters[c] = struct{}{}
	return c, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.waiters, c)
	}
}

func (n *notifier) notify() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.waiters {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
