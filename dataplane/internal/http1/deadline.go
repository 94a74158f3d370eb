package http1

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

var longAgo = time.Unix(1, 0)

// deadline bounds the waits of one side of a connection. The engine's own bound costs a store: due. The server's sweep ends a wait that is
// over by moving the connection's deadline into the past; as the wait may have ended just then, whoever finds the deadline over asks
// spurious. A handler's deadline is set on the connection at once.
type deadline struct {
	nc     net.Conn
	writes bool
	clock  *clock

	due     atomic.Int64 // end of the wait on the clock; 0: none
	stopped atomic.Bool  // waits are to end at once

	mu   sync.Mutex // held while the connection's deadline is set
	user time.Time  // the handler's; zero: none
}

// within bounds what is waited for next; 0 ends the bound.
func (d *deadline) within(limit time.Duration) {
	if limit == 0 {
		d.due.Store(0)
		return
	}
	d.due.Store(d.clock.after(limit))
}

// over reports whether the wait that is set is over.
func (d *deadline) over() bool { return d.clock.passed(d.due.Load()) }

// setUser sets the handler's deadline. For reads it takes the place of the engine's own.
func (d *deadline) setUser(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.user = t
	return d.setLocked(t)
}

func (d *deadline) hasUser() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.user.IsZero()
}

// reset ends the handler's deadline and what stopped waits, before the next request.
func (d *deadline) reset() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.user.IsZero() && !d.stopped.Load() {
		return nil
	}
	d.user = time.Time{}
	d.stopped.Store(false)
	return d.setLocked(d.user)
}

// stop ends waits until reset.
func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped.Store(true)
	_ = d.setLocked(longAgo) // fails on a closed connection only
}

// bound sets a deadline for one wait, or with the zero time the handler's again, unless waits were stopped.
func (d *deadline) bound(t time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped.Load() {
		return false
	}
	if t.IsZero() {
		t = d.user
	}
	_ = d.setLocked(t) // fails on a closed connection only: the wait will say so
	return true
}

// expire ends a wait that is over, if it still is one. The server's sweep calls it.
func (d *deadline) expire() {
	if !d.over() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = d.setLocked(longAgo) // fails on a closed connection only
}

// spurious reports whether err is a deadline that was not meant for this wait. It restores the one that is.
func (d *deadline) spurious(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped.Load() || d.over() || !d.user.IsZero() && !time.Now().Before(d.user) {
		return false
	}
	return d.setLocked(d.user) == nil
}

func (d *deadline) setLocked(t time.Time) error {
	if d.writes {
		return d.nc.SetWriteDeadline(t)
	}
	return d.nc.SetReadDeadline(t)
}
