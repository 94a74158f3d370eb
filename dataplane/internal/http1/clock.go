package http1

import (
	"sync/atomic"
	"time"
)

// tick is how often the server looks at its connections, and so how late a time-out may come.
const tick = 500 * time.Millisecond

// clock is the server's time, moved on by each tick: reading it costs next to nothing.
type clock struct {
	start time.Time
	now   atomic.Int64           // nanoseconds since start, at least 1
	date  atomic.Pointer[string] // header line of Date with its line end
}

func newClock() *clock {
	c := &clock{start: time.Now()}
	c.set(c.start)
	return c
}

// set moves the clock on.
func (c *clock) set(now time.Time) {
	c.now.Store(int64(now.Sub(c.start)) + 1)
	line := string(now.UTC().AppendFormat([]byte("Date: "), "Mon, 02 Jan 2006 15:04:05 GMT\r\n"))
	c.date.Store(&line)
}

// after returns when d is over. As the clock may be a tick behind, that is added: no wait is cut short.
func (c *clock) after(d time.Duration) int64 { return c.now.Load() + int64(d+tick) }

// passed reports whether due is over; 0 never is.
func (c *clock) passed(due int64) bool { return due != 0 && c.now.Load() >= due }
