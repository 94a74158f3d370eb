package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"apigateway/controlplane/internal/store"
	"apigateway/controlplane/internal/store/bolt/bolttest"
	gatewayv1 "apigateway/proto/gateway/v1"
)

const (
	config  = gatewayv1.Part_PART_CONFIG
	keys    = gatewayv1.Part_PART_KEYS
	service = gatewayv1.Kind_KIND_SERVICE
	key     = gatewayv1.Kind_KIND_KEY
)

func TestCommitGivesRevisionsToWhatChanged(t *testing.T) {
	p := started(t)
	for _, test := range []struct {
		name string
		fn   func(Tx)
		want Commit // without At
	}{
		{"both parts", func(tx Tx) {
			tx.Put(service, "a", []byte("1"))
			tx.Put(key, "k", keyValue(t, "x", ""))
		}, Commit{Keys: 1, Config: 2, KeysRevision: 1, ConfigRevision: 2, Changed: true}},
		{"the same again", func(tx Tx) {
			tx.Put(service, "a", []byte("1"))
			tx.Remove(key, "none")
		}, Commit{KeysRevision: 1, ConfigRevision: 2}},
		{"there and back", func(tx Tx) {
			tx.Remove(service, "a")
			tx.Put(service, "a", []byte("1"))
			tx.Put(service, "b", []byte("1"))
			tx.Remove(service, "b")
		}, Commit{KeysRevision: 1, ConfigRevision: 2}},
		{"empty value", func(tx Tx) { tx.Put(service, "a", nil) }, Commit{Config: 3, KeysRevision: 1, ConfigRevision: 3, Changed: true}},
		{"removed", func(tx Tx) { tx.Remove(service, "a") }, Commit{Config: 4, KeysRevision: 1, ConfigRevision: 4, Changed: true}},
	} {
		got := commit(t, p, test.fn)
		at := got.At
		if test.want.At = at; got != test.want || at.IsZero() {
			t.Errorf("%s: Commit() = %+v, want %+v", test.name, got, test.want)
		}
		if shown, ok := p.CommittedAt(test.want.Config); test.want.Config != 0 && (!ok || !shown.Equal(at)) {
			t.Errorf("%s: CommittedAt(%d) = %v, %v, want %v", test.name, test.want.Config, shown, ok, at)
		}
	}
	if _, ok := p.CommittedAt(5); ok {
		t.Error("CommittedAt of a revision to come = true, want false")
	}
}

func TestCommitRefuses(t *testing.T) {
	p := started(t)
	putKey(t, p, "alice", "x")
	before := p.State()
	for _, test := range []struct {
		name string
		fn   func(Tx)
		want string
	}{
		{"large value", func(tx Tx) { tx.Put(service, "a", make([]byte, MaxValue+1)) }, `entry "a": too large, got 1044481 bytes (want at most 1044480)`},
		{"no id", func(tx Tx) { tx.Put(service, "", nil) }, "wrong length of the id, got 0 bytes (want 1 to 256)"},
		{"long id", func(tx Tx) { tx.Put(service, strings.Repeat("a", 257), nil) }, "got 257 bytes (want 1 to 256)"},
		{"named settings", func(tx Tx) { tx.Put(gatewayv1.Kind_KIND_SETTINGS, "a", nil) }, `settings: got id "a" (want none)`},
		{"unknown kind", func(tx Tx) { tx.Put(9, "a", nil) }, "unknown kind, got 9"},
		{"no key", func(tx Tx) { tx.Put(key, "a", []byte("\xff")) }, `key "a": `},
		{"id of no text", func(tx Tx) { tx.Put(service, "\xff", nil) }, "invalid UTF-8"},
		{"secret of another", func(tx Tx) { tx.Put(key, "bob", keyValue(t, "x", "")) }, `keys "alice" and "bob" have the same secret`},
		{"secret of each other", func(tx Tx) {
			tx.Put(key, "carol", keyValue(t, "y", ""))
			tx.Put(key, "bob", keyValue(t, "y", ""))
		}, `keys "bob" and "carol" have the same secret`},
	} {
		_, err := p.Commit(t.Context(), func(tx Tx) error {
			test.fn(tx)
			return nil
		})
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: Commit() = %v, want ErrInvalid with %q", test.name, err, test.want)
		}
	}
	if after := p.State(); after.Revision != before.Revision || after.Keys != before.Keys || after.Config != before.Config {
		t.Errorf("State() = %+v, want %+v", after, before)
	}
}

func TestSecretMayMoveToAnotherName(t *testing.T) {
	p := started(t)
	putKey(t, p, "alice", "x")
	commit(t, p, func(tx Tx) {
		tx.Remove(key, "alice")
		tx.Put(key, "bob", keyValue(t, "x", ""))
	})
	commit(t, p, func(tx Tx) {
		if name, ok := tx.KeyByHash([32]byte(secretsOf(store.ID{Kind: key}, keyValue(t, "x", ""))[0].GetSha256())); !ok || name != "bob" {
			t.Errorf("KeyByHash() = %q, %v, want bob", name, ok)
		}
	})
}

func TestCheckLimits(t *testing.T) {
	empty := newLayer(newLayer(nil))
	empty.base.(*layer).puts[store.ID{Kind: gatewayv1.Kind_KIND_SETTINGS}] = []byte{}
	for _, test := range []struct {
		config, keys uint64
		want         string
	}{
		{gatewayv1.MaxServices + 1, gatewayv1.MaxKeys, ""}, // one is the settings
		{gatewayv1.MaxServices + 2, 0, "services, got 100001 (want at most 100000)"},
		{0, gatewayv1.MaxKeys + 1, "keys, got 10000001 (want at most 10000000)"},
	} {
		if test.config == 0 {
			test.config = 1
		}
		err := checkLimits(empty, store.State{Config: store.Part{Count: test.config}, Keys: store.Part{Count: test.keys}})
		if (err == nil) != (test.want == "") || err != nil && (!errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("checkLimits(%d, %d) = %v, want %q", test.config, test.keys, err, test.want)
		}
	}
}

func TestConcurrentCommitsAreEachTheirOwn(t *testing.T) {
	p := started(t)
	var group sync.WaitGroup
	revisions := make([]uint64, 200)
	for i := range revisions {
		group.Go(func() {
			c, err := p.Commit(t.Context(), func(tx Tx) error {
				tx.Put(key, fmt.Sprintf("k%d", i), keyValue(t, fmt.Sprint(i), ""))
				if i%10 == 0 {
					return errFail
				}
				return nil
			})
			if (i%10 == 0) != errors.Is(err, errFail) {
				t.Errorf("Commit(%d) = %v", i, err)
			}
			revisions[i] = c.Keys
		})
	}
	group.Wait()
	seen := map[uint64]bool{}
	for i, r := range revisions {
		if i%10 != 0 && (r == 0 || r > 180 || seen[r]) {
			t.Errorf("change %d has revision %d, want one of its own up to 180", i, r)
		}
		seen[r] = true
	}
	if got := p.State().Keys; got.Count != 180 || got.Revision != 180 {
		t.Errorf("State().Keys = %+v, want 180 at revision 180", got)
	}
}

func TestCommitIsWithdrawnUntilTheWriterHasIt(t *testing.T) {
	p := started(t)
	busy, release := make(chan struct{}), make(chan struct{})
	first := make(chan error)
	go func() {
		_, err := p.Commit(context.WithoutCancel(t.Context()), func(Tx) error {
			close(busy)
			<-release
			return nil
		})
		first <- err
	}()
	<-busy
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Commit(ctx, func(Tx) error {
		t.Error("a withdrawn change was made")
		return nil
	})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUncertain) {
		t.Errorf("Commit() = %v, want only the error of its context", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("Commit() = %v", err)
	}
}

func TestCommitUnderWayIsUncertain(t *testing.T) {
	p := started(t)
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	_, err := p.Commit(ctx, func(tx Tx) error {
		tx.Put(service, "a", []byte("1"))
		cancel()
		go func() { close(release) }()
		return nil
	})
	<-release
	// Either the answer or the end of the context came first; the change is whole in both cases.
	if err != nil && (!errors.Is(err, ErrUncertain) || !errors.Is(err, context.Canceled)) {
		t.Errorf("Commit() = %v, want nil or ErrUncertain", err)
	}
	if c := commit(t, p, func(tx Tx) { tx.Put(service, "a", []byte("1")) }); c.Changed || c.ConfigRevision != 1 {
		t.Errorf("the same change again = %+v, want none after revision 1", c)
	}
}

func TestClosed(t *testing.T) {
	p := publisher(t, bolttest.Open(t))
	p.Close()
	if _, err := p.Commit(t.Context(), func(Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("Commit() = %v, want ErrClosed", err)
	}
}

func TestSubscription(t *testing.T) {
	p := started(t)
	a, b := p.Subscribe(), p.Subscribe()
	defer a.Close()
	for i := range 3 {
		commit(t, p, func(tx Tx) { tx.Put(service, "a", []byte{byte(i)}) })
	}
	b.Close()
	b.Close()
	<-a.C
	<-b.C
	commit(t, p, func(tx Tx) { tx.Put(service, "a", []byte{2}) }) // nothing new
	select {
	case <-a.C:
		t.Error("three changes and one without content woke twice")
	default:
	}
	commit(t, p, func(tx Tx) { tx.Put(service, "a", []byte("4")) })
	<-a.C
	select {
	case <-b.C:
		t.Error("a closed subscription was woken")
	default:
	}
	if _, err := p.BeginEpoch(t.Context(), nil, 0); err != nil {
		t.Fatal(err)
	}
	<-a.C
}
