package keystore

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// putSecretID puts a key past the checks of Add.
func (f *fixture) putSecretID(t *testing.T, name, id string) error {
	t.Helper()
	h := hash(name)
	value, err := proto.Marshal(&gatewayv1.Key{
		Source: gatewayv1.KeySource_KEY_SOURCE_STORE, Secrets: []*gatewayv1.Secret{{Sha256: h[:], Id: id}},
	})
	if err != nil {
		return err
	}
	_, err = f.p.Commit(t.Context(), func(tx publish.Tx) error {
		tx.Put(gatewayv1.Kind_KIND_KEY, name, value)
		return nil
	})
	return err
}

func (f *fixture) wantUse(t *testing.T, name string, want time.Time) {
	t.Helper()
	k, err := f.Get(t.Context(), name)
	if err != nil || !k.Secrets[0].LastUsedAt.Equal(want) {
		t.Errorf("last use of %s = %+v, %v, want %v", name, k.Secrets, err, want)
	}
}

func (f *fixture) notes(t *testing.T) int {
	t.Helper()
	n := 0
	for _, err := range f.store.Notes(t.Context(), useTable) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func TestUses(t *testing.T) {
	f := setup(t)
	f.add(t, "alice", "a")
	f.wantUse(t, "alice", time.Time{})
	f.NoteUses([]Use{
		{"alice", "id-a", start.Add(-10*time.Minute + 42*time.Second)},
		{"alice", "id-a", start.Add(-20 * time.Minute)},
		{"alice", "other", start},
		{"none", "id-a", start},
		{"filed", "id-filed", start.Add(time.Hour)}, // of a clock that is fast
	})
	f.wantUse(t, "alice", start.Add(-10*time.Minute))
	f.wantUse(t, "filed", start)
	f.flush(t.Context())
	if got := f.notes(t); got != 2 || len(f.uses.pending) != 0 {
		t.Errorf("%d notes written, %d uses pending, want those of the 2 secrets there are", got, len(f.uses.pending))
	}
	f.wantUse(t, "alice", start.Add(-10*time.Minute))
	f.NoteUses([]Use{{"alice", "id-a", start.Add(-15 * time.Minute)}})
	f.flush(t.Context())
	f.wantUse(t, "alice", start.Add(-10*time.Minute))
	if c := f.rotateAlice(t, "b", time.Hour); !c.Key.Secrets[0].LastUsedAt.Equal(start.Add(-10 * time.Minute)) {
		t.Errorf("Rotate() = %+v, want the last use in it", c.Key)
	}
	if _, err := f.Revoke(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	f.flush(t.Context())
	if got := f.notes(t); got != 1 {
		t.Errorf("%d notes after the revocation, want 1", got)
	}
}

func TestUnwrittenUsesStayPending(t *testing.T) {
	f := setup(t)
	f.add(t, "alice", "a")
	f.NoteUses([]Use{{"alice", "id-a", start}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.flush(ctx)
	f.wantUse(t, "alice", start)
	f.flush(t.Context())
	if got := f.notes(t); got != 1 {
		t.Errorf("%d notes, want 1", got)
	}
}

func TestManyUsesAreWrittenInBatches(t *testing.T) {
	f := setup(t)
	_, err := f.p.Commit(t.Context(), func(tx publish.Tx) error {
		for i := range 2500 {
			h := hash(fmt.Sprint(i))
			value, err := proto.Marshal(&gatewayv1.Key{Secrets: []*gatewayv1.Secret{{Sha256: h[:], Id: "id"}}})
			if err != nil {
				return err
			}
			tx.Put(gatewayv1.Kind_KIND_KEY, fmt.Sprint(i), value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2500 {
		f.NoteUses([]Use{{fmt.Sprint(i), "id", start}})
	}
	largest := &largestNote{Store: f.store}
	f.Keystore.store = largest
	f.flush(t.Context())
	if got := f.notes(t); got != 2500 || largest.size > flushBatch {
		t.Errorf("%d notes, at most %d at once, want 2500, at most %d", got, largest.size, flushBatch)
	}
}

type largestNote struct {
	Store
	size int
}

func (s *largestNote) Note(ctx context.Context, notes ...store.Note) error {
	s.size = max(s.size, len(notes))
	return s.Store.Note(ctx, notes...)
}

// recorder counts what is written.
type recorder struct {
	Store
	written atomic.Int32
}

func (r *recorder) Note(ctx context.Context, notes ...store.Note) error {
	r.written.Add(1)
	return r.Store.Note(ctx, notes...)
}

func TestRunWritesEveryFiveMinutesAndAtTheEnd(t *testing.T) {
	f := setup(t)
	f.add(t, "alice", "a")
	r := &recorder{Store: f.store}
	synctest.Test(t, func(t *testing.T) {
		f.Keystore = New(f.p, r, Options{Now: func() time.Time { return f.now }})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- f.Run(ctx) }()
		want := int32(0)
		for range 3 {
			f.now = f.now.Add(flushEvery)
			f.NoteUses([]Use{{"alice", "id-a", f.now}})
			synctest.Wait()
			if got := r.written.Load(); got != want {
				t.Errorf("%d writes before the time, want %d", got, want)
			}
			time.Sleep(flushEvery) // of the bubble
			synctest.Wait()
			want++
			if got := r.written.Load(); got != want {
				t.Errorf("%d writes, want %d", got, want)
			}
		}
		f.now = f.now.Add(time.Minute)
		f.NoteUses([]Use{{"alice", "id-a", f.now}})
		cancel()
		if err := <-done; err != nil || r.written.Load() != want+1 {
			t.Errorf("Run() = %v after %d writes, want nil after %d", err, r.written.Load(), want+1)
		}
	})
}
