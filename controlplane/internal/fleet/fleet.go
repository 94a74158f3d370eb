// Package fleet knows the data planes: which are connected, what each of them serves by its own report, where its circuit
// breakers stand. It answers what became of a change (Standing) and carries commands to data planes. It decides nothing about
// what a data plane is sent: that is package publish's and grpcapi's.
//
// All methods are safe for concurrent use.
package fleet

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// MaxMembers bounds the data planes that are remembered; a new one beyond it is refused.
const MaxMembers = 20_000

// Fleet is the registry of data planes.
type Fleet struct {
	log   *slog.Logger
	notes Notes
	now   func() time.Time

	drifts atomic.Uint64
	nextID atomic.Uint64 // of commands

	mu      sync.RWMutex
	members map[string]*Member

	changes notifier
}

// New returns a fleet that remembers the data planes of notes as disconnected. A nil now is time.Now.
func New(ctx context.Context, notes Notes, log *slog.Logger, now func() time.Time) (*Fleet, error) {
	if now == nil {
		now = time.Now
	}
	f := &Fleet{log: log, notes: notes, now: now, members: make(map[string]*Member)}
	if err := f.load(ctx); err != nil {
		return nil, fmt.Errorf("data planes seen earlier: %w", err)
	}
	return f, nil
}

// Session is the stream of a connected data plane.
type Session interface {
	// Command queues a command and reports whether there was room; it never blocks.
	Command(*gatewayv1.Command) bool
	// Cut ends the stream with a reason that the data plane logs. It may be called more than once.
	Cut(reason string)
}

// Arrival is a data plane that has said Hello.
type Arrival struct {
	Hello   *gatewayv1.Hello
	Foreign string // why it does not follow this store; empty: it does
	Session Session
}

// DuplicateError refuses a second live instance of an id.
type DuplicateError struct {
	ID, Instance, Address string
	Since                 time.Time
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("data plane id %q is held by instance %s on %s, connected since %s (want another --id)",
		e.ID, e.Instance, cmp.Or(e.Address, "no address yet"), e.Since.UTC().Format(time.RFC3339))
}

// Join registers an arrival. Another live instance of the same id makes it a *DuplicateError; an earlier stream of the same
// instance is cut.
func (f *Fleet) Join(a Arrival) (*Member, error) {
	m, err := f.member(a.Hello.GetId())
	if err != nil {
		return nil, err
	}
	earlier, err := m.join(a, f.now())
	if err != nil {
		return nil, err
	}
	if earlier != nil {
		earlier.Cut("replaced by a newer stream of the same instance")
	}
	f.save(m)
	f.changes.notify()
	return m, nil
}

func (f *Fleet) member(id string) (*Member, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.members[id]; m != nil {
		return m, nil
	}
	if len(f.members) >= MaxMembers {
		return nil, fmt.Errorf("data plane %q: %d are known already (want at most %d: forget some)", id, len(f.members), MaxMembers)
	}
	m := &Member{id: id, fleet: f}
	f.members[id] = m
	return m, nil
}

// Leave says that the session of m has ended. A session that was replaced changes nothing.
func (f *Fleet) Leave(m *Member, s Session) {
	if !m.leave(s, f.now()) {
		return
	}
	f.save(m)
	f.changes.notify()
}

// Members returns every data plane in order of id.
func (f *Fleet) Members() []*Member {
	f.mu.RLock()
	defer f.mu.RUnlock()
	all := make([]*Member, 0, len(f.members))
	for _, m := range f.members {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *Member) int { return cmp.Compare(a.id, b.id) })
	return all
}

// Member returns the data plane of that id, or nil.
func (f *Fleet) Member(id string) *Member {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.members[id]
}

// Forget drops a data plane that is not connected.
func (f *Fleet) Forget(ctx context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[id]
	if m == nil {
		return fmt.Errorf("%w: %q", ErrUnknown, id)
	}
	if m.Connected() {
		return fmt.Errorf("%w: %q", ErrConnected, id)
	}
	if err := f.notes.Note(ctx, store.Note{Table: notesTable, Key: id}); err != nil {
		return fmt.Errorf("forget %q: %w", id, err)
	}
	delete(f.members, id)
	f.changes.notify()
	return nil
}

// CutAll ends every stream; data planes reconnect by themselves.
func (f *Fleet) CutAll(reason string) {
	for _, m := range f.Members() {
		if s := m.current(); s != nil {
			s.Cut(reason)
		}
	}
}

// Drifts counts the times that a data plane's content differed from what its revision says.
func (f *Fleet) Drifts() uint64 { return f.drifts.Load() }

// Drifted counts one and logs it.
func (f *Fleet) Drifted(id string, part gatewayv1.Part) {
	f.drifts.Add(1)
	f.log.Warn("data plane drifted, sending it a full snapshot", "dataplane", id, "part", part.String())
}

// Subscribe returns a channel that is readable after something changed, and a function that ends it. Changes that pile up
// collapse into one.
func (f *Fleet) Subscribe() (changed <-chan struct{}, end func()) { return f.changes.subscribe() }

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
