package publish

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// base is what a change is laid over: the store, or the earlier changes of the same batch.
type base interface {
	Get(kind gatewayv1.Kind, id string) ([]byte, bool)
	Entries(part gatewayv1.Part, after store.ID) iter.Seq2[store.ID, []byte]
	Names(term store.Term) iter.Seq[string]
}

// layer holds changes over a base that does not see them. The layer of a batch takes in the layer of each of its calls
// that succeeds.
type layer struct {
	base  base
	puts  map[store.ID][]byte // nil: removed
	terms map[store.Term]map[string]bool
}

func newLayer(b base) *layer {
	return &layer{base: b, puts: map[store.ID][]byte{}, terms: map[store.Term]map[string]bool{}}
}

func (l *layer) Get(kind gatewayv1.Kind, id string) ([]byte, bool) {
	if value, ok := l.puts[store.ID{Kind: kind, ID: id}]; ok {
		return value, value != nil
	}
	return l.base.Get(kind, id)
}

// Entries merges the entries below with the changes, both in order.
func (l *layer) Entries(part gatewayv1.Part, after store.ID) iter.Seq2[store.ID, []byte] {
	return func(yield func(store.ID, []byte) bool) {
		var changed []store.ID
		for id := range l.puts {
			if id.Part() == part && id.Compare(after) > 0 {
				changed = append(changed, id)
			}
		}
		slices.SortFunc(changed, store.ID.Compare)
		// upTo yields the changes that come before an id.
		upTo := func(id store.ID, all bool) bool {
			for len(changed) > 0 && (all || changed[0].Compare(id) < 0) {
				next := changed[0]
				changed = changed[1:]
				if value := l.puts[next]; value != nil && !yield(next, value) {
					return false
				}
			}
			return true
		}
		for id, value := range l.base.Entries(part, after) {
			if !upTo(id, false) {
				return
			}
			if len(changed) > 0 && changed[0] == id {
				continue // the change stands for it, at the next step
			}
			if !yield(id, value) {
				return
			}
		}
		upTo(store.ID{}, true)
	}
}

// Names merges the names below, less the keys that changed, with those of the changed keys.
func (l *layer) Names(term store.Term) iter.Seq[string] {
	return func(yield func(string) bool) {
		changed := slices.Sorted(maps.Keys(l.terms[term]))
		for name := range l.base.Names(term) {
			for len(changed) > 0 && changed[0] < name {
				if !yield(changed[0]) {
					return
				}
				changed = changed[1:]
			}
			if _, ok := l.puts[store.ID{Kind: gatewayv1.Kind_KIND_KEY, ID: name}]; !ok && !yield(name) {
				return
			}
		}
		for _, name := range changed {
			if !yield(name) {
				return
			}
		}
	}
}

// set puts a value, or removes with nil. The terms are those of the value.
func (l *layer) set(id store.ID, value []byte) error {
	terms, err := store.Terms(id, value)
	if err != nil {
		return err
	}
	if old := l.puts[id]; old != nil {
		oldTerms, _ := store.Terms(id, old) // it was read before
		for _, t := range oldTerms {
			delete(l.terms[t], id.ID)
		}
	}
	l.puts[id] = value
	for _, t := range terms {
		if l.terms[t] == nil {
			l.terms[t] = map[string]bool{}
		}
		l.terms[t][id.ID] = true
	}
	return nil
}

// tx is the Tx of one call.
type tx struct {
	*layer
	err error // the first value that cannot be one
}

func (t *tx) Entries(part gatewayv1.Part) iter.Seq2[store.ID, []byte] {
	return t.layer.Entries(part, store.ID{})
}

func (t *tx) KeyByHash(hash [32]byte) (string, bool) {
	for name := range t.Names(store.ByHash(hash)) {
		return name, true
	}
	return "", false
}

func (t *tx) Put(kind gatewayv1.Kind, id string, value []byte) {
	if value == nil {
		value = []byte{} // an empty message, not a removal
	}
	t.fail(checkEntry(kind, id, value))
	t.fail(t.set(store.ID{Kind: kind, ID: id}, value))
}

func (t *tx) Remove(kind gatewayv1.Kind, id string) {
	t.fail(t.set(store.ID{Kind: kind, ID: id}, nil))
}

func (t *tx) fail(err error) {
	if t.err == nil && err != nil {
		t.err = fmt.Errorf("%w: %w", ErrInvalid, err)
	}
}

func checkEntry(kind gatewayv1.Kind, id string, value []byte) error {
	switch {
	case kind != gatewayv1.Kind_KIND_SETTINGS && kind != gatewayv1.Kind_KIND_SERVICE && kind != gatewayv1.Kind_KIND_KEY:
		return fmt.Errorf("entry %q: unknown kind, got %v", id, kind)
	case kind == gatewayv1.Kind_KIND_SETTINGS && id != "":
		return fmt.Errorf("settings: got id %q (want none)", id)
	case kind != gatewayv1.Kind_KIND_SETTINGS && (id == "" || len(id) > MaxID):
		return fmt.Errorf("entry %.80q: wrong length of the id, got %d bytes (want 1 to %d)", id, len(id), MaxID)
	case len(value) > MaxValue:
		return fmt.Errorf("entry %q: too large, got %d bytes (want at most %d)", id, len(value), MaxValue)
	}
	return nil
}
