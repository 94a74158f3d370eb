package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func (b *bench) ids() (ids []string) {
	for _, m := range b.Members() {
		ids = append(ids, m.ID())
	}
	return ids
}

// A data plane that connected once may hold keys: a crash right after must not forget it.
func TestJoinRemembersBeforeItReturns(t *testing.T) {
	b := newBench(t)
	b.connect("a", func(a *Arrival) { a.Hello.Address, a.Hello.Version = "10.0.0.1:80", "v1" })
	b.restart()
	got := b.Member("a").Describe(store.State{})
	if got.GetState() != gatewayv1.DataPlaneState_DATA_PLANE_STATE_DISCONNECTED || got.GetAddress() != "10.0.0.1:80" ||
		got.GetVersion() != "v1" || got.GetLastSeenAtMs() != b.clock().UnixMilli() {
		t.Errorf("after a restart: %v", got)
	}
	if got := b.Standing(Change{Part: keysPart, Revision: 1, Revocation: true}); len(got.Rollout.GetDisconnected()) != 1 || got.Proven {
		t.Errorf("Standing() after a restart = %+v, want it disconnected", got)
	}
}

func TestRunKeepsNotesFresh(t *testing.T) {
	b := newBench(t)
	a, gone := b.connect("a"), b.connect("gone")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		b.advance(10 * time.Minute)
		a.applied(keysPart, 7)
		gone.leave()
		<-time.After(flushEvery + time.Second)
		synctest.Wait()
		if !a.notedWithin(time.Second) {
			t.Error("a minute later its note is stale")
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v, want nil", err)
		}
	})
	b.restart()
	for id, revision := range map[string]uint64{"a": 7, "gone": 0} {
		got := b.Member(id).Describe(store.State{})
		if got.GetLastSeenAtMs() != b.clock().UnixMilli() || got.GetKeysRevision() != revision {
			t.Errorf("%s after a restart: %v", id, got)
		}
	}
}

func TestRunWritesWhatIsLeft(t *testing.T) {
	b := newBench(t)
	a := b.connect("a")
	b.advance(time.Second)
	a.leave()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Run(ctx); err != nil {
		t.Errorf("Run() = %v, want nil", err)
	}
	want := b.clock().UnixMilli()
	b.restart()
	if got := b.Member("a").Describe(store.State{}).GetLastSeenAtMs(); got != want {
		t.Errorf("last seen after a restart = %d, want %d", got, want)
	}
}

// Thousands that connect at once share writes, and each is written when its Join returns.
func TestJoinsShareWrites(t *testing.T) {
	b := newBench(t)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() { b.connect(fmt.Sprintf("dp-%03d", i)) })
	}
	wg.Wait()
	b.restart()
	if n := b.Len(); n != 200 {
		t.Errorf("%d data planes are remembered, want 200", n)
	}
}

func TestJoinGoesOnWithoutNotes(t *testing.T) {
	b := newBench(t)
	b.store.fail(errDisk)
	b.connect("a")
	b.store.fail(nil)
	b.refresh(t.Context())
	b.restart()
	if got := b.ids(); !cmp.Equal(got, []string{"a"}) {
		t.Errorf("remembered %q, want a: it is tried again", got)
	}
}

func TestForget(t *testing.T) {
	b := newBench(t)
	a := b.connect("a")
	if err := b.Forget(t.Context(), "nobody"); !errors.Is(err, ErrUnknown) {
		t.Errorf("Forget(nobody) = %v, want %v", err, ErrUnknown)
	}
	if err := b.Forget(t.Context(), "a"); !errors.Is(err, ErrConnected) {
		t.Errorf("Forget(a) = %v, want %v", err, ErrConnected)
	}
	a.leave()
	b.store.fail(errDisk)
	if err := b.Forget(t.Context(), "a"); !errors.Is(err, errDisk) || b.Member("a") == nil {
		t.Errorf("Forget(a) on a broken disk = %v, want %v and nothing forgotten", err, errDisk)
	}
	b.store.fail(nil)
	if err := b.Forget(t.Context(), "a"); err != nil || b.Member("a") != nil {
		t.Errorf("Forget(a) = %v, want it gone", err)
	}
	b.refresh(t.Context())
	b.restart()
	if got := b.ids(); len(got) != 0 {
		t.Errorf("remembered %q after a restart, want none", got)
	}
}

// A data plane that is joining is never dropped from the registry: it would be connected and count for nothing.
func TestForgetAndJoinAtOnce(t *testing.T) {
	b := newBench(t)
	for range 100 {
		b.connect("a").leave()
		var wg sync.WaitGroup
		var joined *plane
		wg.Go(func() { joined = b.connect("a") })
		wg.Go(func() { _ = b.Forget(t.Context(), "a") })
		wg.Wait()
		if b.Member("a") != joined.Member {
			t.Fatal("a connected data plane is not in the registry")
		}
		joined.leave()
	}
}

func TestMembersAreBounded(t *testing.T) {
	b := newBench(t)
	b.limit = 2
	b.connect("a").leave()
	b.advance(time.Hour)
	b.connect("b").leave()
	join := func() error {
		_, err := b.Join(Arrival{Hello: &gatewayv1.Hello{Id: "c", Instance: "c"}, Session: newStream()})
		return err
	}
	if err := join(); err == nil || err.Error() != `data plane "c": 2 are known already (want at most 2: forget some)` {
		t.Errorf("Join() of one too many = %v", err)
	}
	b.advance(23 * time.Hour)
	if err := join(); err != nil {
		t.Errorf("Join() when one is away for a day = %v", err)
	}
	b.restart()
	if got := b.ids(); !cmp.Equal(got, []string{"b", "c"}) {
		t.Errorf("members = %q, want b and c", got)
	}
}

func TestUnreadableNotes(t *testing.T) {
	b := newBench(t)
	b.connect("a")
	if err := b.store.Note(t.Context(), store.Note{Table: notesTable, Key: "b", Value: []byte{0xff}}); err != nil {
		t.Fatal(err)
	}
	b.restart()
	if got := b.ids(); !cmp.Equal(got, []string{"a"}) {
		t.Errorf("members = %q, want a", got)
	}
}

func TestSubscribe(t *testing.T) {
	b := newBench(t)
	changed, end := b.Subscribe()
	a := b.connect("a")
	a.applied(keysPart, 1)
	<-changed
	select {
	case <-changed:
		t.Error("changes that pile up did not collapse")
	default:
	}
	end()
	a.leave()
	select {
	case <-changed:
		t.Error("told of a change after the end")
	default:
	}
}
