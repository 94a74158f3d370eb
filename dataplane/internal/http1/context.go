package http1

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// ErrClientGone is the cause of the end of a request's context if the client's stream ended before the answer did.
var ErrClientGone = errors.New("http1: client is gone")

// requestContext is below every request's exchange. It ends when the handler returns, the client is gone, or the server is closed. It
// watches the client only once somebody waits for its end; until then it has no channel and no goroutine knows it.
//
// Once it has to have a channel it is a context of package context's making in disguise: as Value shows that one, contexts that derive from
// a request's register with it and start no goroutine.
type requestContext struct {
	conn   *conn // whose mu guards what follows
	inner  context.Context
	cancel context.CancelCauseFunc
	ended  error // why; nil: it has not
}

// Deadline is part of context.Context.
func (x *requestContext) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done is part of context.Context. The first call starts the watch.
func (x *requestContext) Done() <-chan struct{} { return x.live().Done() }

// AfterFunc is what package context looks for in a context of another's making.
func (x *requestContext) AfterFunc(f func()) (stop func() bool) {
	return context.AfterFunc(x.live(), f)
}

// live returns the context in disguise.
func (x *requestContext) live() context.Context {
	x.conn.mu.Lock()
	defer x.conn.mu.Unlock()
	if x.inner == nil {
		x.inner, x.cancel = context.WithCancelCause(context.Background())
		if x.endedLocked() != nil {
			x.cancel(x.ended)
		} else {
			x.conn.watched = x
		}
	}
	return x.inner
}

// Err is part of context.Context.
func (x *requestContext) Err() error {
	x.conn.mu.Lock()
	defer x.conn.mu.Unlock()
	if x.endedLocked() != nil {
		return context.Canceled
	}
	return nil
}

// Value is part of context.Context.
func (x *requestContext) Value(key any) any {
	if key == http.LocalAddrContextKey {
		return x.conn.nc.LocalAddr()
	}
	x.conn.mu.Lock()
	defer x.conn.mu.Unlock()
	if x.inner == nil {
		return nil
	}
	return x.inner.Value(key)
}

func (x *requestContext) endedLocked() error {
	if x.ended == nil && x.conn.cut {
		x.ended = http.ErrServerClosed
	}
	return x.ended
}

// end ends the context as its handler has returned, and the watch.
func (x *requestContext) end() {
	x.conn.mu.Lock()
	defer x.conn.mu.Unlock()
	x.endLocked(context.Canceled)
}

func (x *requestContext) endLocked(cause error) {
	if x.ended == nil {
		x.ended = cause
	}
	if x.cancel != nil {
		x.cancel(x.ended)
	}
	x.conn.watched = nil
}
