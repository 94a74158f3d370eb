package upstream

import (
	"context"
	"sync"
	"time"
)

// watchdog ends an attempt whose backend is silent for too long. At most one limit runs at a time.
type watchdog struct {
	cancel    context.CancelCauseFunc
	firstByte time.Duration

	mu       sync.Mutex
	timer    *time.Timer
	answered bool // the response head is here: the request's writer no longer matters
}

// backend starts the wait for the response head anew: the connection stands, or took a piece of the request.
func (d *watchdog) backend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.answered {
		d.startLocked(d.firstByte, errFirstByte)
	}
}

// client pauses the wait for the response head: the client is to send more of the request.
func (d *watchdog) client() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.answered {
		d.stopLocked()
	}
}

// head ends the wait for the response head.
func (d *watchdog) head() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answered = true
	d.stopLocked()
}

// expect starts the wait for more of the response's body.
func (d *watchdog) expect(limit time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.startLocked(limit, errSilent)
}

// rest ends whatever is waited for.
func (d *watchdog) rest() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopLocked()
}

func (d *watchdog) startLocked(limit time.Duration, cause error) {
	d.stopLocked()
	d.timer = time.AfterFunc(limit, func() { d.cancel(cause) })
}

func (d *watchdog) stopLocked() {
	if d.timer != nil {
		d.timer.Stop()
	}
}
