package configsync

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// filled runs a data plane on dir until it has the store's state and then test, which may be nil.
func filled(t *testing.T, dir string, s *store, test func(f *fleet, p *peer)) {
	t.Helper()
	serve(t, dir, func(f *fleet) {
		p, _ := f.next()
		p.bring(s)
		if test != nil {
			test(f, p)
		}
	})
}

func TestRestartWithoutControlPlane(t *testing.T) {
	dir, s := t.TempDir(), standard()
	filled(t, dir, s, func(_ *fleet, p *peer) {
		p.say(s.change(keysID, map[cache.Ref][]byte{key("alice"): nil, key("bob"): keyValue("bob's")}))
		if a := p.applied(keysID, 3); a.GetNotDurable() {
			t.Error("Applied.not_durable with a good disk")
		}
	})
	serve(t, dir, func(f *fleet) {
		if f.Ready() || f.serves() != nil {
			t.Error("the cache is served before the control plane had its time")
		}
		select {
		case <-f.Configured():
		case <-time.After(Grace + time.Millisecond):
			t.Fatal("the cache is not served after the grace")
		}
		if !f.Ready() || f.admits("alice's") || !f.admits("bob's") {
			t.Errorf("Ready = %v, alice = %v, bob = %v, want true, false, true", f.Ready(), f.admits("alice's"), f.admits("bob's"))
		}
	})
}

func TestRestartUpToDate(t *testing.T) {
	dir, s := t.TempDir(), standard()
	filled(t, dir, s, nil)
	serve(t, dir, func(f *fleet) {
		began := time.Now()
		p, hello := f.next()
		if hello.GetEpoch() != "epoch-1" || len(hello.GetParts()) != 2 {
			t.Errorf("Hello = %v, want both parts of epoch-1", hello)
		}
		p.say(s.welcome())
		<-f.Configured()
		if got := time.Since(began); got >= Grace {
			t.Errorf("served after %v, want at once: nothing newer was to come", got)
		}
	})
}

func TestRestartThenNewer(t *testing.T) {
	dir, s := t.TempDir(), standard()
	filled(t, dir, s, nil)
	record := s.change(configID, map[cache.Ref][]byte{service("orders"): serviceValue("/orders")})
	serve(t, dir, func(f *fleet) {
		p, _ := f.next()
		p.say(s.welcome())
		p.heartbeat()
		if f.serves() != nil {
			t.Fatal("the cache is served although newer is announced")
		}
		p.say(record)
		p.applied(configID, 3)
		if got := f.serves(); !cmp.Equal(got, []string{"orders", "users"}) {
			t.Errorf("serves %q, want orders and users", got)
		}
	})
}

func TestDamagedCache(t *testing.T) {
	dir, s := t.TempDir(), standard()
	filled(t, dir, s, nil)
	path := filepath.Join(dir, "keys.cache")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-3] ^= 4
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, dir, func(f *fleet) {
		time.Sleep(2 * Grace) // in the bubble
		if f.Ready() || f.serves() != nil || f.admits("alice's") {
			t.Error("a part is served without the other")
		}
		p, hello := f.next()
		if len(hello.GetParts()) != 1 || hello.GetParts()[0].GetPart() != configID {
			t.Errorf("Hello.parts = %v, want the configuration only", hello.GetParts())
		}
		p.say(s.welcome())
		p.say(s.chunks(keysID, 10))
		p.applied(keysID, 1)
		if !f.Ready() || !f.admits("alice's") {
			t.Error("not served once the keys were there again")
		}
	})
	filled(t, dir, s, nil) // and the file is good again: nothing is asked for that is not brought
}

// What was rejected is in the cache when, and only when, a later revision could be built on it.
func TestRejectedIsNotCached(t *testing.T) {
	dir, s := t.TempDir(), standard()
	filled(t, dir, s, func(_ *fleet, p *peer) {
		p.say(s.change(configID, map[cache.Ref][]byte{service("bad"): serviceValue("no path"), service("new"): serviceValue("/new")}))
		p.rejected(configID)
	})
	serve(t, dir, func(f *fleet) {
		p, hello := f.next()
		if got := hello.GetParts()[0].GetRevision(); got != 2 || hello.GetRejected() != nil {
			t.Errorf("Hello = %v, want revision 2 and no rejection", hello)
		}
		p.say(s.welcome())
		p.say(s.chunks(configID, 10))
		p.rejected(configID)
		p.say(s.change(configID, map[cache.Ref][]byte{service("bad"): nil}))
		p.applied(configID, 4)
		p.say(s.change(configID, map[cache.Ref][]byte{service("bad"): serviceValue("no path"), service("newer"): serviceValue("/newer")}))
		p.rejected(configID)
		p.say(s.change(configID, map[cache.Ref][]byte{service("bad"): nil}))
		p.applied(configID, 6)
	})
	serve(t, dir, func(f *fleet) {
		<-f.Configured()
		if got := f.serves(); !cmp.Equal(got, []string{"new", "newer", "users"}) {
			t.Errorf("serves %q after a restart, want new, newer and users", got)
		}
	})
}

func TestDiskRefuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	s := standard()
	serve(t, dir, func(f *fleet) {
		p, _ := f.next()
		p.bring(s)
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		p.say(s.chunks(keysID, 10)) // writes a file anew, which has no folder
		if a := p.applied(keysID, 1); !a.GetNotDurable() {
			t.Error("Applied of a snapshot is durable, want not_durable")
		}
		p.say(s.change(keysID, map[cache.Ref][]byte{key("alice"): nil}))
		if a := p.applied(keysID, 3); !a.GetNotDurable() {
			t.Error("Applied of a revocation is durable, want not_durable")
		}
		if f.admits("alice's") {
			t.Error("the revocation is not in effect")
		}
		if err := os.Rename(dir+".away", dir); err != nil {
			t.Fatal(err)
		}
		p.say(&gatewayv1.ControlPlaneHeartbeat{}) // writes
		p.heartbeat()
		p.say(&gatewayv1.ControlPlaneHeartbeat{}) // tells
		if a := p.applied(keysID, 3); a.GetNotDurable() {
			t.Error("Applied is not durable after the disk took it")
		}
	})
	serve(t, dir, func(f *fleet) {
		<-f.Configured()
		if f.admits("alice's") {
			t.Error("alice is back after a restart")
		}
	})
}

func TestUnwritableCacheIsNoObstacle(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	filled(t, filepath.Join(file, "cache"), standard(), func(f *fleet, _ *peer) {
		if !f.Ready() {
			t.Error("not ready")
		}
	})
}

func TestSecondInstanceIsRefusedAndRetries(t *testing.T) {
	dir, s := t.TempDir(), standard()
	filled(t, dir, s, nil)
	serve(t, dir, func(f *fleet) {
		for range 3 {
			f.refuse <- status.Error(codes.AlreadyExists, "edge-1 is connected from 10.0.0.1")
		}
		p, _ := f.next()
		if !f.Ready() {
			t.Error("not ready from its cache")
		}
		p.say(s.welcome())
		p.heartbeat()
	})
}

func TestJitter(t *testing.T) {
	for attempt := range 40 {
		for range 100 {
			if d := jitter(attempt); d < minDelay || d > maxDelay {
				t.Fatalf("jitter(%d) = %v, want %v to %v", attempt, d, minDelay, maxDelay)
			}
		}
	}
}
