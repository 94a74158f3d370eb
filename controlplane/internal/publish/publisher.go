package publish

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// Publisher is the only writer of a store and the source of every stream. Make it with New.
type Publisher struct {
	store store.Store
	log   *slog.Logger

	calls chan *call // taken up by the writer
	ctx   context.Context
	stop  context.CancelFunc
	done  chan struct{} // closed when the writer has ended

	maxMessage int // bytes; tests make it small

	// writing is held from the first read of a batch until its outcome shows in state and log, so that nobody finds the
	// store ahead of them.
	writing sync.Mutex

	mu    sync.RWMutex // guards what follows
	state store.State
	tail  tail
	subs  map[*Subscription]struct{}

	checkpoints [2]shared // by part
}

// New reads the newest state and the log of s and starts the writer. The Publisher writes to s until Close; nobody else
// may, but for notes. ctx bounds the reading.
func New(ctx context.Context, s store.Store, log *slog.Logger) (*Publisher, error) {
	state, err := s.State(ctx)
	if err != nil {
		return nil, err
	}
	records, err := s.Since(ctx, state.Floor)
	if err != nil {
		return nil, err
	}
	p := &Publisher{
		store: s,
		log:   log,
		calls: make(chan *call),
		done:  make(chan struct{}),

		maxMessage: gatewayv1.MaxMessage,

		state: state,
		tail:  newTail(state, records),
		subs:  map[*Subscription]struct{}{},
	}
	ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	p.ctx = ctx
	go p.write(ctx)
	return p, nil
}

// Close stops the writer after the batch under way. Changes that it did not take up fail with ErrClosed.
func (p *Publisher) Close() {
	p.stop()
	<-p.done
}

// State returns the newest state.
func (p *Publisher) State() store.State {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.state
}

// View reads one moment of the store. fn must not Commit.
func (p *Publisher) View(ctx context.Context, fn func(store.Reader) error) error {
	return p.store.View(ctx, fn)
}

// CommittedAt returns when the store had a revision, if that was not long ago and in this process.
func (p *Publisher) CommittedAt(revision uint64) (time.Time, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.tail.committedAt(revision)
}

// BeginEpoch makes the store the descendant of its own history so far and of extra, with a head of at least atLeast. No
// entry changes; every stream is woken and has to begin again under the new epoch.
func (p *Publisher) BeginEpoch(ctx context.Context, extra []store.Ancestor, atLeast uint64) (store.State, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	was := p.State()
	lineage := descend(was, extra)
	state, err := p.store.BeginEpoch(ctx, was.Revision, lineage, atLeast)
	if err != nil {
		return store.State{}, fmt.Errorf("begin epoch: %w", err)
	}
	p.mu.Lock()
	p.state = state
	p.mu.Unlock()
	p.wake()
	p.log.Info("new epoch", "epoch", state.Epoch, "was", was.Epoch, "revision", state.Revision)
	return state, nil
}

// descend returns the lineage of an epoch after was that takes extra in; each epoch once, with its newest revision.
func descend(was store.State, extra []store.Ancestor) []store.Ancestor {
	var lineage []store.Ancestor
	all := slices.Concat(was.Lineage, []store.Ancestor{{Epoch: was.Epoch, Revision: was.Revision}}, extra)
	for _, a := range all {
		i := slices.IndexFunc(lineage, func(b store.Ancestor) bool { return a.Epoch == b.Epoch })
		if i < 0 {
			lineage = append(lineage, a)
		} else {
			lineage[i].Revision = max(lineage[i].Revision, a.Revision)
		}
	}
	return lineage
}

// Subscription tells a stream that there may be something new.
type Subscription struct {
	// C receives after changes. Wake-ups that pile up collapse into one.
	C <-chan struct{}

	c chan struct{}
	p *Publisher
}

// Subscribe returns a subscription to every later change. Close it.
func (p *Publisher) Subscribe() *Subscription {
	c := make(chan struct{}, 1)
	s := &Subscription{C: c, c: c, p: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subs[s] = struct{}{}
	return s
}

// Close ends the subscription; C is not closed. It may be called again.
func (s *Subscription) Close() {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	delete(s.p.subs, s)
}

// wake tells every stream, waiting for none.
func (p *Publisher) wake() {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for s := range p.subs {
		if bugUnboundedQueue {
			go func() { s.c <- struct{}{} }()
			continue
		}
		select {
		case s.c <- struct{}{}:
		default:
		}
	}
}

// index is the position of a part in arrays.
func index(part gatewayv1.Part) int {
	if part == gatewayv1.Part_PART_KEYS {
		return 1
	}
	return 0
}
