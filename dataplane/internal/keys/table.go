package keys

import (
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// ErrTaken is wrapped by Put's error about a secret that another key, or the same one twice, already has.
var ErrTaken = errors.New("secret is taken")

// entry is what is known under one name. It stays the same for as long as the name is listed.
type entry struct {
	name     string
	identity atomic.Pointer[Identity] // nil: admits nobody
	raw      []byte                   // as sent; guarded by Table.mu, the bytes never change
}

// Table holds all keys. Make it with NewTable.
type Table struct {
	index atomic.Pointer[index]
	used  useLog

	mu      sync.RWMutex // writers, and readers of entries
	entries map[string]*entry
}

// NewTable returns an empty table.
func NewTable() *Table {
	t := &Table{entries: make(map[string]*entry)}
	t.index.Store(newIndex(minCells))
	return t
}

// Verify returns the identity of the key that the secret with hash h belongs to, and notes its use. Unless the verdict
// is OK, the identity is nil. now is wall-clock time.
func (t *Table) Verify(h Hash, now time.Time) (*Identity, Verdict) {
	c, id, v := t.lookup(&h, now)
	if v == OK {
		t.used.note(c, now)
	}
	return id, v
}

// StillValid reports whether Verify would say OK, without noting a use: for tunnels that live on after their request.
func (t *Table) StillValid(h Hash, now time.Time) bool {
	_, _, v := t.lookup(&h, now)
	return v == OK
}

func (t *Table) lookup(h *Hash, now time.Time) (*cell, *Identity, Verdict) {
	c := t.index.Load().find(h)
	if c == nil {
		return nil, nil, Unknown
	}
	id := c.owner.identity.Load()
	s := id.secret(h)
	switch {
	case s == nil:
		return nil, nil, Unknown // removed meanwhile, or not quite there yet
	case s.ExpiresAt != 0 && now.UnixMilli() >= s.ExpiresAt:
		return nil, nil, Expired
	}
	return c, id, OK
}

// Put sets the key called name, in place of an earlier one. raw are its bytes as sent, which the caller must not change
// afterwards. With id nil the key is listed and admits nobody. The same happens, and an error that wraps ErrTaken is
// returned, if one of its secrets already belongs to another name or stands in it twice.
//
// The cost does not depend on the number of keys, on average: now and then the index grows, which delays writers only.
func (t *Table) Put(name string, raw []byte, id *Identity) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[name]
	if e == nil {
		e = &entry{name: name}
		t.entries[name] = e
	}
	e.raw = raw
	err := t.checkLocked(e, id)
	if err != nil {
		id = nil
	}
	t.setLocked(e, id)
	return err
}

// checkLocked reports a secret of id that e may not have.
func (t *Table) checkLocked(e *entry, id *Identity) error {
	if id == nil {
		return nil
	}
	x := t.index.Load()
	for i := range id.Secrets {
		s := &id.Secrets[i]
		if c := x.find(&s.Hash); c != nil && c.owner != e {
			return fmt.Errorf("key %q: secret %q: %w by key %q", e.name, s.ID, ErrTaken, c.owner.name)
		}
		if id.secret(&s.Hash) != s {
			return fmt.Errorf("key %q: secret %q: %w by secret %q", e.name, s.ID, ErrTaken, id.secret(&s.Hash).ID)
		}
	}
	return nil
}

// setLocked changes e's identity: what is new becomes findable, then the one store that readers see, then what is old
// is cleared away.
func (t *Table) setLocked(e *entry, id *Identity) {
	old := e.identity.Load()
	if id != nil {
		for i := range id.Secrets {
			if h := &id.Secrets[i].Hash; old.secret(h) == nil {
				t.index.Store(t.index.Load().insert(&cell{hash: *h, owner: e}))
			}
		}
	}
	e.identity.Store(id)
	if old != nil {
		for i := range old.Secrets {
			if h := &old.Secrets[i].Hash; id.secret(h) == nil {
				t.index.Load().remove(h)
			}
		}
	}
}

// Remove ends all secrets of the key called name and no longer lists it. An unknown name is nothing to do.
func (t *Table) Remove(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.entries[name]; e != nil {
		t.setLocked(e, nil)
		delete(t.entries, name)
	}
}

// Get returns the bytes of the key called name as they were put.
func (t *Table) Get(name string) (raw []byte, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	e := t.entries[name]
	if e == nil {
		return nil, false
	}
	return e.raw, true
}

// All returns names and bytes of all keys, unusable ones included, in no particular order. What it yields is the table at the
// moment the iteration begins; no lock is held while it goes on.
func (t *Table) All() iter.Seq2[string, []byte] {
	type item struct {
		name string
		raw  []byte
	}
	return func(yield func(string, []byte) bool) {
		t.mu.RLock()
		items := make([]item, 0, len(t.entries))
		for name, e := range t.entries {
			items = append(items, item{name, e.raw})
		}
		t.mu.RUnlock()
		for _, it := range items {
			if !yield(it.name, it.raw) {
				return
			}
		}
	}
}

// Len returns the number of keys, unusable ones included.
func (t *Table) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.entries)
}
