package configsync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/metadata"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// errTurned ends a stream in order, so that a turn can be taken.
var errTurned = errors.New("this process hands over")

// turn is something to do between two streams.
type turn struct {
	do   func() error
	done chan error // capacity 1
}

// HandOver gives id and cache up for a process that takes them over. When it returns nil, the last stream of this id has ended in order
// (all that was applied is told), and the cache is not written any more: the caller may close it. What is served stays, and goes on being
// kept up to date by a stream that is marked as that of a departing process; HandOver waits for that one too, but no longer than Grace.
// An error means that nothing has changed: the last change is not in the cache, or ctx ended. Run has to be running.
func (c *Client) HandOver(ctx context.Context) error {
	err := c.take(ctx, func() error {
		if err := c.replica.detach(); err != nil {
			return err
		}
		c.departs = true
		select {
		case <-c.welcomed:
		default:
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("configsync: not handed over: %w", err)
	}
	limit := time.NewTimer(Grace)
	defer limit.Stop()
	select {
	case <-c.welcomed:
	case <-limit.C:
	case <-ctx.Done():
	}
	return nil
}

// TakeBack undoes HandOver: nobody took over. dir is the same folder, opened again; it is brought up to date. Nil: there is no cache any
// more. The error is that ctx ended.
func (c *Client) TakeBack(ctx context.Context, dir *cache.Dir) error {
	return c.take(ctx, func() error {
		c.departs = false
		c.replica.attach(dir)
		return nil
	})
}

// take has the goroutine that follows the control plane do something while there is no stream.
func (c *Client) take(ctx context.Context, do func() error) error {
	t := turn{do, make(chan error, 1)}
	select {
	case c.turns <- t:
		return <-t.done
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// connectOrTurn runs one stream until it ends or a turn is to be taken.
func (c *Client) connectOrTurn(ctx context.Context, address string) error {
	sctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if c.departs {
		sctx = metadata.AppendToOutgoingContext(sctx, gatewayv1.DepartingHeader, "1")
	}
	ended := make(chan struct{})
	var err error // valid once ended
	go func() {
		defer close(ended)
		err = c.connect(sctx, address)
	}()
	select {
	case <-ended:
		return err
	case t := <-c.turns:
		cancel(errTurned)
		<-ended
		t.done <- t.do()
		return errTurned
	}
}

// noteWelcome tells HandOver that the stream it waits for is there.
func (c *Client) noteWelcome() {
	select {
	case c.welcomed <- struct{}{}:
	default:
	}
}

// detach ends the use of the cache.
func (r *replica) detach() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.parts() {
		if r.opts.Cache == nil || !p.present || p.unsaved {
			return fmt.Errorf("%v: the last change is not in the cache (want it there for the other process)", p.id)
		}
	}
	r.opts.Cache = nil
	return nil
}

// attach begins to use the cache again. What is there is as old as detach, or was written by a process that did not come to serve.
func (r *replica) attach(dir *cache.Dir) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opts.Cache = dir
	if dir == nil {
		return
	}
	if r.resumesLocked(&r.keys.part) {
		r.setUnsavedLocked(&r.keys.part, false)
	} else {
		r.saveKeysLocked(nil)
	}
	c := &r.config
	switch {
	case c.rejection != nil: // the file has an earlier one, which can be served
		c.unwritten = true
	case r.resumesLocked(&c.part):
		r.setUnsavedLocked(&c.part, false)
	default:
		c.unwritten = true
		r.saveConfigLocked(nil)
	}
}

// resumesLocked reports whether the cache has exactly what was received of p, and can be appended to.
func (r *replica) resumesLocked(p *part) bool {
	content, err := r.opts.Cache.Load(p.id)
	return err == nil && content != nil && content.State == p.state
}
