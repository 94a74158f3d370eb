package proxy

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// conns counts the connections of the public listener and bounds them.
type conns struct {
	limit   func() int64 // open connections at most; asked at each new one
	refused func()       // called for each that was refused

	mu   sync.Mutex
	open map[net.Conn]http.ConnState
}

func newConns(limit func() int64, refused func()) *conns {
	return &conns{limit: limit, refused: refused, open: make(map[net.Conn]http.ConnState)}
}

// track is an http.Server's ConnState. A new connection over the limit is closed before anything is read from it. A hijacked one is
// a tunnel's from then on.
func (c *conns) track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		if int64(len(c.open)) >= c.limit() {
			c.refused()
			_ = conn.Close() // it is refused either way
		}
		c.open[conn] = state
	case http.StateActive, http.StateIdle:
		c.open[conn] = state
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
	}
}

// count returns how many are open, and how many of them serve a request.
func (c *conns) count() (open, active int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, state := range c.open {
		if state == http.StateActive {
			active++
		}
	}
	return len(c.open), active
}

// closeIdle closes the connections that serve no request.
func (c *conns) closeIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn, state := range c.open {
		if state != http.StateActive {
			_ = conn.Close() // its end is tracked
		}
	}
}

// connAge is what a connection has been through; it is in the context of its requests.
type connAge struct {
	since    time.Time
	requests atomic.Int64
}

type connAgeKey struct{}

func withConnAge(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connAgeKey{}, &connAge{since: time.Now()})
}

// spent reports whether the request of ctx has to be the last of its connection.
func spent(ctx context.Context, l *gatewayv1.Listener) bool {
	age, ok := ctx.Value(connAgeKey{}).(*connAge)
	return ok && (age.requests.Add(1) >= l.GetMaxRequests() || time.Since(age.since) >= time.Duration(l.GetMaxAgeMs())*time.Millisecond)
}
