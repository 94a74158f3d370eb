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

	gatewayv1 "apigateway/proto/gateway/v1"
)

// MaxMembers bounds the data planes that are remembered. A new one beyond it takes the place of the one that is away longest, if
// that is a day at least, and is refused otherwise.
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
	limit   int // MaxMembers

	memory  memory
	changes notifier
}

// New returns a fleet that remembers the data planes of notes as disconnected. A nil now is time.Now.
func New(ctx context.Context, notes Notes, log *slog.Logger, now func() time.Time) (*Fleet, error) {
	if now == nil {
		now = time.Now
	}
	f := &Fleet{log: log, notes: notes, now: now, members: make(map[string]*Member), limit: MaxMembers}
	if err := f.load(ctx); err != nil {
		return nil, fmt.Errorf("data planes seen earlier: %w", err)
	}
	return f, nil
}

// Session is the stream of a connected data plane. What a session reports to a Member that has a newer one is ignored.
type Session interface {
	// Command queues a command and reports whether there was room; it never blocks.
	Command(*gatewayv1.Command) bool
	// Cut ends the stream with a reason that the data plane logs. It may be called more than once and never blocks.
	Cut(reason string)
}

// Arrival is a data plane that has said Hello.
type Arrival struct {
	Hello   *gatewayv1.Hello
	Epoch   string // of the store
	Foreign string // why it does not follow this store; empty: it does
	Session Session
}

// DuplicateError refuses a second live instance of an id.
type DuplicateError struct {
	ID, Instance, Address string    // of the one that is connected
	Since                 time.Time // it is
}

// Error names the instance that holds the id.
func (e *DuplicateError) Error() string {
	return fmt.Sprintf("data plane id %q is held by instance %s on %s, connected since %s (want another --id)",
		e.ID, e.Instance, cmp.Or(e.Address, "no address yet"), e.Since.UTC().Format(time.RFC3339))
}

// Join registers an arrival. Another live instance of the same id makes it a *DuplicateError; an earlier stream of the same
// instance is cut. A data plane that is new is remembered durably before Join returns: from here on it can hold keys, and a
// revocation must not forget it.
func (f *Fleet) Join(a Arrival) (*Member, error) {
	m, earlier, err := f.register(a)
	if err != nil {
		return nil, err
	}
	if earlier != nil {
		earlier.Cut("replaced by a newer stream of the same instance")
	}
	f.remember(m)
	f.changes.notify()
	return m, nil
}

// register keeps Forget out until the member is connected.
func (f *Fleet) register(a Arrival) (m *Member, earlier Session, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := a.Hello.GetId()
	m = f.members[id]
	if m == nil {
		if !f.makeRoomLocked() {
			return nil, nil, fmt.Errorf("data plane %q: %d are known already (want at most %d: forget some)", id, len(f.members), f.limit)
		}
		m = &Member{id: id, fleet: f}
		f.members[id] = m
	}
	earlier, err = m.join(a, f.now())
	return m, earlier, err
}

// makeRoomLocked drops the member that is away longest if there is no room for another one.
func (f *Fleet) makeRoomLocked() bool {
	if len(f.members) < f.limit {
		return true
	}
	var oldest *Member
	var since time.Time
	for _, m := range f.members {
		if gone, ok := m.goneSince(); ok && (oldest == nil || gone.Before(since)) {
			oldest, since = m, gone
		}
	}
	if oldest == nil || f.now().Sub(since) < seenWindow {
		return false
	}
	delete(f.members, oldest.id)
	f.memory.touch(oldest.id)
	return true
}

// Leave says that the session of m has ended. A session that was replaced changes nothing.
func (f *Fleet) Leave(m *Member, s Session) {
	if m.successor != nil {
		m.successor.removeDeparting(m)
		f.changes.notify()
		return
	}
	if !m.leave(s, f.now()) {
		return
	}
	f.memory.touch(m.id)
	f.changes.notify()
}

// Members returns every data plane in order of id.
func (f *Fleet) Members() []*Member {
	f.mu.RLock()
	all := make([]*Member, 0, len(f.members))
	for _, m := range f.members {
		all = append(all, m)
	}
	f.mu.RUnlock()
	slices.SortFunc(all, func(a, b *Member) int { return cmp.Compare(a.id, b.id) })
	return all
}

// Len returns the number of data planes.
func (f *Fleet) Len() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.members)
}

// Member returns the data plane of that id, or nil.
func (f *Fleet) Member(id string) *Member {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.members[id]
}

// Forget drops a data plane that is not connected. Errors: ErrUnknown, ErrConnected, those of Notes.
func (f *Fleet) Forget(ctx context.Context, id string) error {
	m, err := f.unregister(id)
	if err != nil {
		return err
	}
	f.memory.touch(id)
	if err := f.flush(ctx); err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.members[id] == nil {
			f.members[id] = m
		}
		return fmt.Errorf("forget %q: %w", id, err)
	}
	f.changes.notify()
	return nil
}

func (f *Fleet) unregister(id string) (*Member, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[id]
	if m == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, id)
	}
	if m.Connected() {
		return nil, fmt.Errorf("%w: %q", ErrConnected, id)
	}
	delete(f.members, id)
	return m, nil
}

// Drifts counts the times that a data plane's content differed from what its revision says.
func (f *Fleet) Drifts() uint64 { return f.drifts.Load() }

// CountDrift counts one that the data plane found itself.
func (f *Fleet) CountDrift() { f.drifts.Add(1) }

// Subscribe returns a channel that is readable after something changed, and a function that ends it. Changes that pile up
// collapse into one.
func (f *Fleet) Subscribe() (changed <-chan struct{}, end func()) { return f.changes.subscribe() }
