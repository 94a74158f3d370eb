package configsync

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// behind is a store that has moved on since the snapshots that it hands out: the records bring the rest.
func behind() (s *store, chunks []*gatewayv1.SnapshotChunk, revoke, move *gatewayv1.Record) {
	s = standard()
	s.change(keysID, map[cache.Ref][]byte{key("bob"): keyValue("bob's")})
	chunks = append(s.chunks(keysID, 10), s.chunks(configID, 10)...)
	revoke = s.change(keysID, map[cache.Ref][]byte{key("alice"): nil})
	move = s.change(configID, map[cache.Ref][]byte{settingsRef: marshal(&gatewayv1.Settings{Port: ":9090"})})
	return s, chunks, revoke, move
}

// idle fails the test if anything is served.
func (f *fleet) idle(when string) {
	f.t.Helper()
	synctest.Wait()
	if f.Ready() || f.serves() != nil {
		f.t.Fatalf("%s: ready = %v, serves %q, want nothing yet", when, f.Ready(), f.serves())
	}
}

func TestFirstServiceWaitsForTheTarget(t *testing.T) {
	for _, first := range []string{"keys", "config"} {
		t.Run("first="+first, func(t *testing.T) {
			serve(t, t.TempDir(), func(f *fleet) {
				s, chunks, revoke, move := behind()
				p, _ := f.next()
				p.say(s.welcome())
				p.say(chunks)
				f.idle("with the snapshots")
				time.Sleep(4 * time.Second) // in the bubble: no grace, the control plane is there
				f.idle("with the snapshots for long")
				last := move
				if first == "config" {
					revoke, last = move, revoke
				}
				p.say(revoke)
				f.idle("with one part at its target")
				p.say(last)
				synctest.Wait()
				if !f.Ready() || f.admits("alice's") || f.hold.Load().Settings.GetPort() != ":9090" {
					t.Error("not served at the target")
				}
			})
		})
	}
}

// A part of the cache that was dropped makes a fresh start of it: the other part alone is no state that was ever served.
func TestDroppedPartWaitsForTheTarget(t *testing.T) {
	dir, s := t.TempDir(), standard()
	filled(t, dir, s, nil)
	revoke := s.change(keysID, map[cache.Ref][]byte{key("alice"): nil})
	removeFile(t, dir, "config.cache")
	serve(t, dir, func(f *fleet) {
		p, _ := f.next()
		p.say(s.welcome())
		p.say(s.chunks(configID, 10))
		time.Sleep(2 * Grace)
		f.idle("with the cached keys behind")
		p.say(revoke)
		p.applied(configID, 2)
		if !f.Ready() || f.admits("alice's") {
			t.Error("not served at the target")
		}
	})
}

// What was rejected at the target is not waited for.
func TestFirstServiceOfWhatWasBuiltBefore(t *testing.T) {
	serve(t, t.TempDir(), func(f *fleet) {
		s := standard()
		chunks := append(s.chunks(keysID, 10), s.chunks(configID, 10)...)
		bad := s.change(configID, map[cache.Ref][]byte{service("bad"): serviceValue("no path")})
		p, _ := f.next()
		p.say(s.welcome())
		p.say(chunks)
		f.idle("with the snapshots")
		p.say(bad)
		p.applied(configID, 2)
		p.rejected(configID)
		if got := f.serves(); !cmp.Equal(got, []string{"users"}) || !f.Ready() {
			t.Errorf("ready = %v, serves %q, want users", f.Ready(), got)
		}
	})
}

// The same of a snapshot that is too large to be taken.
func TestFirstServiceBesideATooLargePart(t *testing.T) {
	dir, s := t.TempDir(), standard()
	filled(t, dir, s, nil)
	removeFile(t, dir, "keys.cache")
	serve(t, dir, func(f *fleet) {
		p, _ := f.next()
		w := s.welcome()
		w.Parts[0] = &gatewayv1.PartState{Part: configID, Revision: 9, Digest: w.Parts[0].GetDigest(), Count: gatewayv1.MaxServices + 2}
		p.say(w)
		p.say(s.chunks(keysID, 10))
		f.idle("without the configuration")
		p.say(&gatewayv1.SnapshotChunk{State: w.Parts[0]})
		p.rejected(configID)
		if got := f.serves(); !cmp.Equal(got, []string{"users"}) || !f.Ready() {
			t.Errorf("ready = %v, serves %q, want users", f.Ready(), got)
		}
	})
}

// A control plane that went away before the target has the grace to come back.
func TestFirstServiceWithoutControlPlane(t *testing.T) {
	serve(t, t.TempDir(), func(f *fleet) {
		s, chunks, revoke, move := behind()
		p, _ := f.next()
		p.say(s.welcome())
		p.say(chunks)
		f.idle("with the snapshots")
		time.Sleep(3 * Grace)
		p.end <- nil
		<-p.gone
		time.Sleep(Grace - time.Millisecond)
		f.idle("within the grace")
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if !f.Ready() || !f.admits("bob's") {
			t.Error("not served after the grace")
		}
		p, _ = f.next()
		p.say(s.welcome())
		p.applied(configID, 2)
		p.say(revoke)
		p.say(move)
		p.applied(configID, 5)
		if f.admits("alice's") {
			t.Error("alice is in at the target")
		}
	})
}

// Back within the grace, it is waited for again.
func TestControlPlaneComesBackBeforeTheTarget(t *testing.T) {
	serve(t, t.TempDir(), func(f *fleet) {
		s, chunks, revoke, move := behind()
		p, _ := f.next()
		p.say(s.welcome())
		p.say(chunks)
		f.idle("with the snapshots")
		p.end <- nil
		p, _ = f.next() // at most 500 ms later
		p.say(s.welcome())
		time.Sleep(3 * Grace)
		f.idle("within the second stream")
		p.say(revoke)
		p.say(move)
		p.applied(configID, 5)
		if !f.Ready() || f.admits("alice's") {
			t.Error("not served at the target")
		}
	})
}

func removeFile(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}
