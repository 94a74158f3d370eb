package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"apigateway/controlplane/internal/store"
	"apigateway/controlplane/internal/store/bolt/bolttest"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestNextDecides(t *testing.T) {
	s := bolttest.Open(t)
	p := publisher(t, s)
	p.tail.limit = 1
	for i := range 4 {
		commit(t, p, func(tx Tx) { tx.Put(service, "a", []byte{byte(i)}) })
	}
	head := p.State().Config
	was, _ := p.tail.parts[index(config)].at(3)
	other := head.Digest.Add(head.Digest)
	for _, test := range []struct {
		name  string
		have  Have
		want  Kind
		drift bool
	}{
		{"nothing", Have{}, Snapshot, false},
		{"the head", Have{4, head.Digest, true}, UpToDate, false},
		{"the head of another epoch", Have{4, head.Digest, false}, Snapshot, false},
		{"another content at the head", Have{4, other, true}, Snapshot, true},
		{"one behind", Have{3, was.digest, true}, Records, false},
		{"another content one behind", Have{3, other, true}, Snapshot, true},
		{"before the log", Have{2, other, true}, Snapshot, false},
		{"another epoch ahead", Have{9, other, false}, Snapshot, false},
	} {
		got, err := p.Next(config, test.have)
		if err != nil || got.Kind != test.want || got.Drift != test.drift {
			t.Errorf("%s: Next(%+v) = kind %v, drift %v, %v, want %v, %v", test.name, test.have, got.Kind, got.Drift, err, test.want, test.drift)
		}
		if want := (Have{4, head.Digest, true}); got.To != want {
			t.Errorf("%s: leads to %+v, want %+v", test.name, got.To, want)
		}
	}
	if _, err := p.Next(config, Have{5, head.Digest, true}); !errors.Is(err, ErrAhead) {
		t.Errorf("Next ahead of the store = %v, want ErrAhead", err)
	}
	p.Close()
	again := publisher(t, s)
	defer again.Close()
	again.tail = newTail(store.State{Floor: 3}, nil)
	if got, err := again.Next(config, Have{3, other, true}); err != nil || got.Kind != Snapshot || got.Drift {
		t.Errorf("Next at the floor of a log read from the store = %+v, %v, want a snapshot without drift", got, err)
	}
}

func TestEmptyPartIsASnapshotToo(t *testing.T) {
	p := started(t)
	f := &follower{part: keys}
	if !f.follow(t, p) || f.content == nil || !f.have.Ours || f.follow(t, p) {
		t.Errorf("a data plane with nothing ended with %+v, want one empty snapshot", f)
	}
}

// TestHerdSharesOneCheckpoint sends many streams, that each need a snapshot, at once.
func TestHerdSharesOneCheckpoint(t *testing.T) {
	counted := &countedStore{Store: bolttest.Open(t)}
	p := publisher(t, counted)
	defer p.Close()
	for i := range 50 {
		putKey(t, p, fmt.Sprint(i), fmt.Sprint(i))
	}
	var herd sync.WaitGroup
	for range 500 {
		herd.Go(func() {
			f := &follower{part: keys}
			for f.follow(t, p) {
			}
			if len(f.content) < 50 {
				t.Errorf("follower has %d keys, want 50 at least", len(f.content))
			}
		})
	}
	herd.Wait()
	if got := counted.walks.Load(); got != 1 {
		t.Errorf("the keys were read %d times, want once", got)
	}
	for range 500 {
		herd.Go(func() {
			f := &follower{part: keys}
			for more := true; more; {
				more = f.follow(t, p)
			}
		})
	}
	const changes = 20
	for i := range changes {
		putKey(t, p, fmt.Sprint("late", i), fmt.Sprint("late", i))
	}
	herd.Wait()
	if got := counted.walks.Load(); got > 1+changes {
		t.Errorf("the keys were read %d times during %d changes, want at most once for each", got-1, changes)
	}
}

// A data plane that starts after a revocation must not accept the key for a moment.
func TestSnapshotIsNoOlderThanTheCall(t *testing.T) {
	p := started(t)
	putKey(t, p, "alice", "alice's")
	putKey(t, p, "bob", "bob's")
	(&follower{part: keys}).follow(t, p) // makes a checkpoint with alice
	if _, err := p.Commit(t.Context(), func(tx Tx) error {
		tx.Remove(gatewayv1.Kind_KIND_KEY, "alice")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	got, err := p.Next(keys, Have{})
	if err != nil || got.Kind != Snapshot || got.To.Revision != p.State().Keys.Revision {
		t.Errorf("Next after a revocation = kind %v to revision %d, %v; want a snapshot of revision %d", got.Kind, got.To.Revision, err, p.State().Keys.Revision)
	}
}

// countedStore counts how often a whole part is read.
type countedStore struct {
	store.Store
	walks atomic.Int32
}

func (s *countedStore) View(ctx context.Context, fn func(store.Reader) error) error {
	return s.Store.View(ctx, func(r store.Reader) error { return fn(&countedReader{r, s}) })
}

type countedReader struct {
	store.Reader
	s *countedStore
}

func (r *countedReader) Entries(part gatewayv1.Part, after store.ID) iter.Seq2[store.ID, []byte] {
	r.s.walks.Add(1)
	return r.Reader.Entries(part, after)
}

// TestCommitsDoNotWaitForACheckpoint commits from inside the reading of one.
func TestCommitsDoNotWaitForACheckpoint(t *testing.T) {
	slow := &slowStore{Store: bolttest.Open(t)}
	p := publisher(t, slow)
	defer p.Close()
	putKey(t, p, "a", "a")
	slow.during = func() { putKey(t, p, "b", "b") }
	f := &follower{part: keys}
	f.follow(t, p)
	if f.have.Revision != 1 || len(f.content) != 1 {
		t.Errorf("checkpoint is %+v with %d keys, want that of revision 1", f.have, len(f.content))
	}
	if !f.follow(t, p) || len(f.content) != 2 {
		t.Errorf("follower has %d keys, want the other as a record", len(f.content))
	}
}

// slowStore does something during the first walk over the keys.
type slowStore struct {
	store.Store
	during func()
}

func (s *slowStore) View(ctx context.Context, fn func(store.Reader) error) error {
	return s.Store.View(ctx, func(r store.Reader) error { return fn(&slowReader{r, s}) })
}

type slowReader struct {
	store.Reader
	s *slowStore
}

func (r *slowReader) Entries(part gatewayv1.Part, after store.ID) iter.Seq2[store.ID, []byte] {
	if do := r.s.during; do != nil && part == keys {
		r.s.during = nil
		do()
	}
	return r.Reader.Entries(part, after)
}

// failingStore fails every Apply, before or after it is done.
type failingStore struct {
	store.Store
	err error
}

func (s *failingStore) Apply(ctx context.Context, ifRevision uint64, records []store.Record) error {
	if s.err != nil {
		return s.err
	}
	return s.Store.Apply(ctx, ifRevision, records)
}

func TestNothingIsShownBeforeItIsStored(t *testing.T) {
	failing := &failingStore{Store: bolttest.Open(t)}
	p := publisher(t, failing)
	defer p.Close()
	putKey(t, p, "a", "a")
	f := &follower{part: keys}
	f.follow(t, p)
	sub := p.Subscribe()
	defer sub.Close()
	failing.err = fmt.Errorf("%w: no space left", store.ErrFull)
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			name := fmt.Sprint("lost", i)
			c, err := p.Commit(t.Context(), func(tx Tx) error {
				tx.Put(key, name, keyValue(t, name, ""))
				return nil
			})
			if !errors.Is(err, store.ErrFull) || c != (Commit{}) {
				t.Errorf("Commit() = %+v, %v, want ErrFull and nothing else", c, err)
			}
		})
	}
	group.Wait()
	if len(sub.C) != 0 || p.State().Revision != 1 || f.follow(t, p) {
		t.Errorf("woken %d, revision %d, follower at %+v, want nothing new", len(sub.C), p.State().Revision, f.have)
	}
	failing.err = nil
	if c := putKey(t, p, "b", "b"); c.Keys != 2 {
		t.Errorf("Commit() with room again = %+v, want revision 2", c)
	}
	f.follow(t, p)
	if len(f.content) != 2 {
		t.Errorf("follower has %d keys, want 2", len(f.content))
	}
}

func TestBeginEpoch(t *testing.T) {
	p := started(t)
	putKey(t, p, "a", "a")
	first := p.State()
	foreign := store.Ancestor{Epoch: "foreign", Revision: 40}
	second, err := p.BeginEpoch(t.Context(), []store.Ancestor{foreign}, 40)
	if err != nil || second.Revision != 40 {
		t.Fatalf("BeginEpoch() = %+v, %v, want revision 40", second, err)
	}
	if c := putKey(t, p, "b", "b"); c.Keys != 41 {
		t.Errorf("Commit() = %+v, want revision 41", c)
	}
	third, err := p.BeginEpoch(t.Context(), []store.Ancestor{{Epoch: "foreign", Revision: 30}, {Epoch: first.Epoch, Revision: 9}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, want := fmt.Sprint(third.Lineage), fmt.Sprint([]store.Ancestor{{Epoch: first.Epoch, Revision: 9}, foreign, {Epoch: second.Epoch, Revision: 41}})
	if got != want {
		t.Errorf("lineage = %s, want %s", got, want)
	}
	if shown := p.State(); shown.Epoch != third.Epoch || strings.Contains(got, third.Epoch) {
		t.Errorf("State() has epoch %s, want %s", shown.Epoch, third.Epoch)
	}
}
