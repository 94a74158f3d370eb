package publish

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// maxBatch bounds how many calls share one transaction, so that none waits for an endless one.
const maxBatch = 1024

// call is one Commit on its way through the writer.
type call struct {
	fn    func(Tx) error
	taken atomic.Bool // by the writer, or by its caller to withdraw it
	done  chan struct{}

	// Set by the writer before done is closed.
	result  Commit
	err     error
	records []store.Record
}

// Commit runs fn once and makes what it changed durable before it returns. Calls at the same time share one transaction
// of the store, but each is a change of its own: it sees those before it, fails alone when fn fails, and gets its own
// revisions, keys before config. What does not differ from what is there is no change, and gets none.
//
// fn runs on the writer: it must not block, commit, or keep the Tx.
//
// If ctx ends first, the error wraps ctx's. Unless it also wraps ErrUncertain the change was withdrawn before the writer
// saw it and is not applied. Errors: fn's, ErrLimit, ErrInvalid, ErrClosed, and those of store.Apply; after all of them
// but ErrUncertain and store.ErrReadOnly nothing was changed. After ErrReadOnly the next opening of the store tells.
func (p *Publisher) Commit(ctx context.Context, fn func(Tx) error) (Commit, error) {
	c := &call{fn: fn, done: make(chan struct{})}
	select {
	case p.calls <- c:
	case <-ctx.Done():
		return Commit{}, fmt.Errorf("commit: %w", ctx.Err())
	case <-p.ctx.Done():
		return Commit{}, ErrClosed
	}
	select {
	case <-c.done:
		return c.result, c.err
	case <-ctx.Done():
		if c.taken.CompareAndSwap(false, true) {
			return Commit{}, fmt.Errorf("commit: %w", ctx.Err())
		}
		return Commit{}, fmt.Errorf("%w: %w", ErrUncertain, ctx.Err())
	}
}

// write is the writer: it takes what has come and commits it as one batch.
func (p *Publisher) write(ctx context.Context) {
	defer close(p.done)
	for {
		select {
		case c := <-p.calls:
			// Once taken up, a batch is stored: a Close under way waits for it.
			p.commit(context.WithoutCancel(ctx), p.gather(c))
		case <-ctx.Done():
			return
		}
	}
}

// gather returns first and the calls that wait by now.
func (p *Publisher) gather(first *call) []*call {
	batch := []*call{first}
	for len(batch) < maxBatch {
		select {
		case c := <-p.calls:
			batch = append(batch, c)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch, stores it and answers its calls.
func (p *Publisher) commit(ctx context.Context, batch []*call) {
	p.writing.Lock()
	defer p.writing.Unlock()
	state := p.State()
	was := state
	err := p.store.View(ctx, func(r store.Reader) error {
		if got := r.State().Revision; got != state.Revision {
			return fmt.Errorf("%w: got revision %d (want %d)", store.ErrConflict, got, state.Revision)
		}
		b := newLayer(r)
		for _, c := range batch {
			if c.taken.CompareAndSwap(false, true) {
				state = p.run(c, b, state)
			}
		}
		return nil
	})
	var records []store.Record
	for _, c := range batch {
		records = append(records, c.records...)
	}
	if bugAckEarly {
		defer func() { _ = p.store.Apply(ctx, was.Revision, records) }()
	} else if err == nil && len(records) > 0 {
		err = p.store.Apply(ctx, was.Revision, records)
	}
	p.finish(batch, records, state, err)
}

// run lets one call change the batch, or leaves nothing of it. It returns the state after it.
func (p *Publisher) run(c *call, batch *layer, state store.State) store.State {
	t := &tx{layer: newLayer(batch)}
	if c.err = c.fn(t); c.err == nil {
		c.err = t.err
	}
	if c.err != nil {
		return state
	}
	after, records, err := p.diff(batch, t.layer, state)
	if err != nil {
		c.err = err
		return state
	}
	c.records = records
	for id, value := range t.puts {
		_ = batch.set(id, value) // its terms were read before
	}
	for _, r := range records {
		if r.GetPart() == gatewayv1.Part_PART_KEYS {
			c.result.Keys = r.GetRevision()
		} else {
			c.result.Config = r.GetRevision()
		}
	}
	c.result.Changed = len(records) > 0
	c.result.KeysRevision, c.result.ConfigRevision = after.Keys.Revision, after.Config.Revision
	return after
}

// finish shows a stored batch to everyone and answers its calls.
func (p *Publisher) finish(batch []*call, records []store.Record, state store.State, err error) {
	at := time.Now()
	if err == nil && len(records) > 0 {
		p.mu.Lock()
		p.state = state
		for _, r := range records {
			p.tail.add(r, at)
		}
		p.mu.Unlock()
		p.wake()
	}
	for _, c := range batch {
		if c.err == nil && err != nil {
			c.result, c.err = Commit{}, fmt.Errorf("commit: %w", err)
		}
		if c.err == nil {
			c.result.At = at
		}
		close(c.done)
	}
}
