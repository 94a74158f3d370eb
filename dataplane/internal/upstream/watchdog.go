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
	idle      time.Duration // of a stream, while its client is awaited; 0: the body of the request has a bound of its own

	mu       sync.Mutex
	timer    *time.Timer
	answered bool          // the response head is here
	silence  time.Duration // that more of the response's body is awaited for; 0: it is not
}

// backend starts the wait for the response anew: the connection stands, or the client has sent a piece of the request.
func (d *watchdog) backend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !d.answered:
		d.startLocked(d.firstByte, errFirstByte)
	case d.silence > 0:
		d.startLocked(d.silence, errSilent)
	}
}

// client pauses the wait for the response head: the client is to send more of the request.
func (d *watchdog) client() {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.answered:
	case d.idle > 0:
		d.startLocked(d.idle, errClientSilent)
	default:
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
	d.silence = limit
	d.startLocked(limit, errSilent)
}

// rest ends whatever is waited for.
func (d *watchdog) rest() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silence = 0
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
