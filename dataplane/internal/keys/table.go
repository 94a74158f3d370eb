package keys

import (
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// What Put's errors wrap.
var (
	ErrTaken   = errors.New("secret is taken")  // by another key, or twice in the same one
	ErrTooMany = errors.New("too many secrets") // a key has at most two
)

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
	t.index.Store(newIndex(0))
	return t
}

// Verify returns the identity of the key that the secret with hash h belongs to, and notes its use. Unless the verdict
// is OK, the identity is nil. now is wall-clock time.
func (t *Table) Verify(h Hash, now time.Time) (*Identity, Verdict) {
	v, s := t.index.Load().find(&h)
	if verdict := s.verdict(now); verdict != OK {
		return nil, verdict
	}
	t.used.note(v, s, now)
	return v.identity, OK
}

// StillValid reports whether Verify would say OK, without noting a use: for tunnels that outlive the request they began as.
func (t *Table) StillValid(h Hash, now time.Time) bool {
	_, s := t.index.Load().find(&h)
	return s.verdict(now) == OK
}

// Put sets the key called name, in place of an earlier one. raw are its bytes as sent; neither they nor id may be
// changed afterwards. With id nil the key is listed and admits nobody. The same happens when an error is returned: id has
// more than two secrets (ErrTooMany), or one that belongs to another name or stands in it twice (ErrTaken).
//
// On average the cost does not depend on the number of keys. Now and then the index grows; that delays writers, not lookups.
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
	t.setLocked(e, e.next(id))
	return err
}

// checkLocked says why e may not become id.
func (t *Table) checkLocked(e *entry, id *Identity) error {
	if id == nil {
		return nil
	}
	if n := len(id.Secrets); n > maxSecrets {
		return fmt.Errorf("key %q: %w, got %d (want at most %d)", e.name, ErrTooMany, n, maxSecrets)
	}
	for i := range id.Secrets {
		s := &id.Secrets[i]
		if v, _ := t.index.Load().find(&s.Hash); v != nil && v != e.current.Load() {
			return fmt.Errorf("key %q: secret %q: %w by key %q", e.name, s.ID, ErrTaken, v.identity.Name)
		}
		if i > 0 && s.Hash == id.Secrets[0].Hash {
			return fmt.Errorf("key %q: secret %q: %w by secret %q", e.name, s.ID, ErrTaken, id.Secrets[0].ID)
		}
	}
	return nil
}

// setLocked gives e the version v: the new secrets become findable, then the one store that readers see, then the places
// of the old ones are cleared.
func (t *Table) setLocked(e *entry, v *version) {
	x, old := t.index.Load(), e.current.Load()
	if !x.hasRoom(len(v.all())) {
		x = t.rebuildLocked()
	}
	for i := range v.all() {
		if h := &v.secrets[i].hash; old.find(h) == nil {
			x.insert(h, e)
		}
	}
	e.current.Store(v)
	for i := range old.all() {
		if h := &old.secrets[i].hash; v.find(h) == nil {
			x.remove(h, e)
		}
	}
}

// rebuildLocked puts an index with room in place of the current one.
func (t *Table) rebuildLocked() *index {
	x := newIndex(t.index.Load().live + maxSecrets)
	for _, e := range t.entries {
		v := e.current.Load()
		for i := range v.all() {
			x.insert(&v.secrets[i].hash, e)
		}
	}
	t.index.Store(x)
	return x
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
