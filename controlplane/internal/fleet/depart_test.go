package fleet

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// depart joins a process that has handed the id a over.
func (b *bench) depart(instance string) *plane {
	b.t.Helper()
	s := newStream()
	m, err := b.Depart(Arrival{Hello: &gatewayv1.Hello{Id: "a", Instance: instance, Epoch: epoch}, Epoch: epoch, Session: s})
	if err != nil {
		b.t.Fatal(err)
	}
	return &plane{m, s, b}
}

func TestDepartingProcessCountsForKeys(t *testing.T) {
	b := newBench(t)
	next := b.connect("a")
	old := b.depart("old")
	expect := func(when string, c Change, proven bool, lagging ...*gatewayv1.LaggingBy) {
		t.Helper()
		got := b.Standing(c)
		if diff := cmp.Diff(lagging, got.Rollout.GetLagging(), protocmp.Transform()); diff != "" || got.Proven != proven {
			t.Errorf("%s: Standing() = %+v, want proven %v; lagging (-want +got):\n%s", when, got, proven, diff)
		}
	}
	revocation, config := Change{Part: keysPart, Revision: 7, Revocation: true}, Change{Part: configPart, Revision: 8}
	next.applied(keysPart, 7)
	next.applied(configPart, 8)
	expect("served by the new one", revocation, false, &gatewayv1.LaggingBy{Dataplane: "a"})
	expect("a configuration", config, true)
	old.applied(keysPart, 6)
	expect("behind", revocation, false, &gatewayv1.LaggingBy{Dataplane: "a", Revision: 6})
	old.applied(keysPart, 7)
	expect("served by both", revocation, true)
	again := b.depart("old")
	expect("a new stream", revocation, false, &gatewayv1.LaggingBy{Dataplane: "a"})
	if want := []string{"replaced by a newer stream of the same instance"}; !cmp.Equal(old.cuts, want) {
		t.Errorf("cuts of the earlier stream = %q, want %q", old.cuts, want)
	}
	old.leave()
	expect("the end of the earlier stream", revocation, false, &gatewayv1.LaggingBy{Dataplane: "a"})
	again.leave()
	expect("gone", revocation, true)
	if !next.Connected() || b.Len() != 1 {
		t.Errorf("connected %v, %d data planes, want the new one alone", next.Connected(), b.Len())
	}
}

// Operators see the process that holds the id, and that can come before or after the departing one's stream.
func TestDepartingProcessIsNotShown(t *testing.T) {
	b := newBench(t)
	b.connect("a").leave()
	b.depart("old").applied(keysPart, 9)
	if got := b.Member("a").Describe(store.State{}).GetState(); got != gatewayv1.DataPlaneState_DATA_PLANE_STATE_DISCONNECTED {
		t.Errorf("Describe() = %v, want disconnected", got)
	}
	if got := b.Standing(Change{Part: keysPart, Revision: 9}); got.Proven {
		t.Errorf("Standing() = %+v, want it not proven by who has left", got)
	}
	b.connect("a", func(a *Arrival) { a.Hello.Instance = "new" })
}

func TestDepartIsBounded(t *testing.T) {
	b := newBench(t)
	hello := func(instance string) Arrival {
		return Arrival{Hello: &gatewayv1.Hello{Id: "a", Instance: instance}, Session: newStream()}
	}
	if _, err := b.Depart(hello("old")); !errors.Is(err, ErrUnknown) {
		t.Errorf("Depart() of an id that nobody knows = %v, want %v", err, ErrUnknown)
	}
	b.connect("a")
	for i := range maxDeparting {
		b.depart(fmt.Sprint(i))
	}
	if _, err := b.Depart(hello("one more")); err == nil {
		t.Errorf("Depart() of %d processes succeeds, want an error", maxDeparting+1)
	}
}
