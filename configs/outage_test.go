package configs

import (
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"apigateway/proto/apikey"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// crashes is how often the control plane is killed.
func crashes() int {
	if long {
		return 20
	}
	return 2
}

// The control plane is killed under load, again and again: nobody notices but operators, and nothing acknowledged is lost.
func TestControlPlaneCrashes(t *testing.T) {
	t.Parallel()
	f := newProcesses(t)
	f.write(configuration(service("users", guarded, unlimited, newBackend(t, "backend-1"), newBackend(t, "backend-2"))))
	control := f.startControl()
	a, b := f.startData("a"), f.startData("b")
	f.awaitServing()
	secret, revision := f.addKey("alice")
	f.expectProof(f.prove(revision, false, patience), "a", "b")
	l := startLoad(t, 4, a, "/users", secret)

	acknowledged := map[string]bool{"alice": true, "tester": true}
	for round := range crashes() {
		adders := f.startAdders(fmt.Sprintf("crash-%d", round))
		f.awaitLoad(l)
		f.kill(control)
		maps.Copy(acknowledged, adders())

		f.kill(b) // and a data plane with it: it serves from its cache
		b = f.startData("b", at(b))
		f.expect(b, "/users", secret, answer{status: http.StatusOK})
		f.expect(b, "/users", "", answer{status: http.StatusUnauthorized})
		f.awaitLoad(l)

		control = f.startControl()
		present := f.keyNames()
		for name := range acknowledged {
			if !present[name] {
				t.Errorf("key %q was acknowledged before the crash and is gone", name)
			}
		}
		f.awaitBoth(gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING)
	}
	_, revision = f.addKey("late")
	f.expectProof(f.prove(revision, false, patience), "a", "b")
	endLoad(t, l)
}

// startAdders adds keys, several at a time, until the control plane is gone. stop waits for that and returns those that it
// acknowledged.
func (f *fleet) startAdders(prefix string) (stop func() map[string]bool) {
	f.t.Helper()
	var mu sync.Mutex
	var group sync.WaitGroup
	names := make(map[string]bool)
	enough := make(chan struct{})
	keys := gatewayv1.NewKeyServiceClient(f.conn)
	for adder := range 4 {
		group.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%s-%d-%d", prefix, adder, i)
				hash := apikey.Hash(name)
				if _, err := keys.AddKey(f.t.Context(), &gatewayv1.AddKeyRequest{Name: name, Sha256: hash[:]}); err != nil {
					return
				}
				mu.Lock()
				names[name] = true
				if len(names) == 20 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	select {
	case <-enough:
	case <-time.After(patience):
		f.t.Fatal("no keys can be added")
	}
	return func() map[string]bool {
		group.Wait()
		return names
	}
}

// awaitLoad returns after some more requests.
func (f *fleet) awaitLoad(l *load) {
	f.t.Helper()
	enough := l.count() + 200
	f.await("requests to be answered", func() bool { return l.count() >= enough })
}

func (f *fleet) awaitBoth(state gatewayv1.DataPlaneState) {
	f.t.Helper()
	f.awaitState("a", state)
	f.awaitState("b", state)
}

// A control plane with an empty store takes nothing away: the data planes are foreign until they are adopted, and that says first which
// keys it drops.
func TestEmptyStoreTakesNothingAway(t *testing.T) {
	t.Parallel()
	f := newProcesses(t)
	one, other := newBackend(t, "backend-1"), newBackend(t, "backend-2")
	f.write(configuration(service("users", guarded, unlimited, one)))
	control := f.startControl()
	a, b := f.startData("a"), f.startData("b")
	f.awaitServing()
	secret, revision := f.addKey("alice")
	f.expectProof(f.prove(revision, false, patience), "a", "b")
	l := startLoad(t, 2, a, "/users", fileKey)
	f.awaitLoad(l)
	f.kill(control)

	f.store = filepath.Join(f.dir, "empty", "controlplane.db")
	f.write(configuration(service("orders", guarded, unlimited, other), service("users", guarded, unlimited, other)))
	f.startControl()
	f.awaitBoth(gatewayv1.DataPlaneState_DATA_PLANE_STATE_FOREIGN)
	if reason := f.dataplanes()["a"].GetReason(); reason == "" {
		t.Error("a is foreign without a reason")
	}
	bob, revision := f.addKey("bob")
	if got := f.prove(revision, false, patience); got.GetProven() || len(got.GetRollout().GetRejected()) != 2 {
		t.Errorf("a key of the empty store: %v, want it rejected by two foreign data planes", got)
	}
	for _, p := range []*plane{a, b} {
		f.expect(p, "/users", secret, answer{status: 200, body: one.greeting})
		f.expect(p, "/users", bob, answer{status: 401})
		f.expect(p, "/orders", fileKey, answer{status: 404})
	}

	want := []string{"a alice dropped", "a bob revived", "b alice dropped", "b bob revived"}
	for _, dry := range []bool{true, false} {
		if got := f.adopt(dry); !slices.Equal(got, want) {
			t.Errorf("adoption, dry run %v, tells %q, want %q", dry, got, want)
		}
	}
	f.awaitBoth(gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING)
	for _, p := range []*plane{a, b} {
		f.expect(p, "/users", secret, answer{status: 401})
		f.expect(p, "/users", bob, answer{status: 200, body: other.greeting})
		f.expect(p, "/orders", fileKey, answer{status: 200})
	}
	endLoad(t, l)
}

// adopt adopts every foreign data plane, or only asks what that would change, and returns what it is told.
func (f *fleet) adopt(dry bool) []string {
	f.t.Helper()
	ctx, cancel := f.call()
	defer cancel()
	stream, err := gatewayv1.NewDataPlaneServiceClient(f.conn).AdoptDataPlanes(ctx, &gatewayv1.AdoptDataPlanesRequest{All: true, DryRun: dry})
	changes, err := all(stream, err, (*gatewayv1.AdoptDataPlanesResponse).GetChanges)
	if err != nil {
		f.t.Fatal(err)
	}
	var told []string
	for _, c := range changes {
		line := c.GetDataplane() + " " + c.GetName()
		if c.GetDropped() {
			line += " dropped"
		}
		if c.GetRevived() {
			line += " revived"
		}
		told = append(told, line)
	}
	slices.Sort(told)
	return told
}
