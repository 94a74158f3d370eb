package fleet

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestJoinRefusesASecondInstance(t *testing.T) {
	b := newBench(t)
	first := b.connect("edge-1", func(a *Arrival) { a.Hello.Address = "10.0.0.1:8080" })
	_, err := b.Join(Arrival{Hello: &gatewayv1.Hello{Id: "edge-1", Instance: "other"}, Session: newStream()})
	want := &DuplicateError{ID: "edge-1", Instance: "instance-edge-1", Address: "10.0.0.1:8080", Since: b.clock()}
	var got *DuplicateError
	if !errors.As(err, &got) || *got != *want {
		t.Fatalf("Join() = %v, want %v", err, want)
	}
	if text := `data plane id "edge-1" is held by instance instance-edge-1 on 10.0.0.1:8080, connected since 2026-01-02T03:04:05Z (want another --id)`; err.Error() != text {
		t.Errorf("Join() = %q, want %q", err, text)
	}
	if len(first.cuts) != 0 || !first.Connected() {
		t.Errorf("the first one was cut: %q", first.cuts)
	}
	first.leave()
	b.connect("edge-1", func(a *Arrival) { a.Hello.Instance = "other" })
}

func TestJoinReplacesTheStreamOfTheSameInstance(t *testing.T) {
	b := newBench(t)
	first := b.connect("a")
	first.applied(keysPart, 5)
	done := make(chan error, 1)
	go func() { done <- first.Do(t.Context(), &gatewayv1.Command{}, nil) }()
	<-first.commands
	second := b.connect("a")
	if want := []string{"replaced by a newer stream of the same instance"}; !cmp.Equal(first.cuts, want) {
		t.Errorf("cuts of the first stream = %q, want %q", first.cuts, want)
	}
	if err := <-done; !errors.Is(err, ErrDisconnected) {
		t.Errorf("Do() on the first stream = %v, want %v", err, ErrDisconnected)
	}
	first.leave()
	if !second.Connected() {
		t.Error("the end of the first stream disconnected the second one")
	}
}

// The receiver of a stream can be late: what it says must not count for the stream that came after.
func TestReportsOfAStreamThatIsOver(t *testing.T) {
	b := newBench(t)
	first := b.connect("a")
	second := b.connect("a")
	for name, report := range map[string]func(){
		"Applied":   func() { first.applied(keysPart, 9) },
		"Confirmed": func() { first.Confirmed(first.stream, keysPart) },
		"Rejected":  func() { first.Rejected(first.stream, &gatewayv1.Rejected{Part: configPart, Revision: 9}) },
		"Heartbeat": func() { first.Heartbeat(first.stream, "elsewhere", time.Hour) },
		"Breakers": func() {
			first.ReportBreakers(first.stream, &gatewayv1.BreakerReport{States: []*gatewayv1.BreakerState{{Service: "users"}}})
		},
	} {
		before := second.Describe(store.State{})
		report()
		if diff := cmp.Diff(before, second.Describe(store.State{}), protocmp.Transform()); diff != "" {
			t.Errorf("%s of the first stream changed the second one (-before +after):\n%s", name, diff)
		}
	}
	if got := second.Breakers(""); len(got) != 0 {
		t.Errorf("Breakers() = %v, want none", got)
	}
}

func TestDescribe(t *testing.T) {
	head := store.State{Epoch: epoch, Revision: 9, Config: store.Part{Revision: 8}, Keys: store.Part{Revision: 7}}
	for _, test := range []struct {
		name   string
		script func(b *bench) *plane
		state  gatewayv1.DataPlaneState
		reason string
	}{
		{"serving", func(b *bench) *plane {
			a := b.connect("a")
			a.applied(configPart, 8)
			a.applied(keysPart, 7)
			return a
		}, gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING, ""},
		{
			"new", func(b *bench) *plane { return b.connect("a") },
			gatewayv1.DataPlaneState_DATA_PLANE_STATE_LAGGING, "config not confirmed yet, newest is revision 8",
		},
		{"of an epoch before", func(b *bench) *plane {
			a := b.connect("a", has(keysPart, 700))
			a.applied(configPart, 8)
			return a
		}, gatewayv1.DataPlaneState_DATA_PLANE_STATE_LAGGING, "keys not confirmed yet, newest is revision 7"},
		{"behind", func(b *bench) *plane {
			a := b.connect("a")
			a.applied(configPart, 6)
			a.applied(keysPart, 7)
			return a
		}, gatewayv1.DataPlaneState_DATA_PLANE_STATE_LAGGING, "config at revision 6 of 8"},
		{"rejected", func(b *bench) *plane {
			a := b.connect("a")
			a.Rejected(a.stream, &gatewayv1.Rejected{Part: configPart, Revision: 8, Reason: "no"})
			return a
		}, gatewayv1.DataPlaneState_DATA_PLANE_STATE_REJECTED, "revision 8: no"},
		{"rejected before it connected", func(b *bench) *plane {
			return b.connect("a", func(a *Arrival) { a.Hello.Rejected = &gatewayv1.Rejected{Part: configPart, Revision: 8, Reason: "no"} })
		}, gatewayv1.DataPlaneState_DATA_PLANE_STATE_REJECTED, "revision 8: no"},
		{"rejected in an epoch before", func(b *bench) *plane {
			a := b.connect("a", func(a *Arrival) {
				a.Hello.Epoch = "epoch-0"
				a.Hello.Rejected = &gatewayv1.Rejected{Part: configPart, Revision: 800, Reason: "no"}
			})
			a.applied(configPart, 8)
			a.applied(keysPart, 7)
			return a
		}, gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING, ""},
		{"rejected and mended", func(b *bench) *plane {
			a := b.connect("a")
			a.Rejected(a.stream, &gatewayv1.Rejected{Part: configPart, Revision: 7, Reason: "no"})
			a.applied(keysPart, 7)
			a.applied(configPart, 8)
			return a
		}, gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING, ""},
		{
			"foreign", func(b *bench) *plane { return b.connect("a", foreign("why")) },
			gatewayv1.DataPlaneState_DATA_PLANE_STATE_FOREIGN, "why",
		},
		{"disconnected", func(b *bench) *plane {
			a := b.connect("a")
			a.leave()
			return a
		}, gatewayv1.DataPlaneState_DATA_PLANE_STATE_DISCONNECTED, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			got := test.script(b).Describe(head)
			if got.GetState() != test.state || got.GetReason() != test.reason {
				t.Errorf("Describe() = %v %q, want %v %q", got.GetState(), got.GetReason(), test.state, test.reason)
			}
			if connected := got.GetConnectedAtMs() != 0; connected != (test.name != "disconnected") {
				t.Errorf("connected_at_ms = %d", got.GetConnectedAtMs())
			}
		})
	}
}

// What is served wins over what was only received, and both digests are shown as one.
func TestDescribeWhatIsServed(t *testing.T) {
	b := newBench(t)
	received := gatewayv1.EntryDigest(gatewayv1.Kind_KIND_SERVICE, "users", []byte("new"))
	served := gatewayv1.EntryDigest(gatewayv1.Kind_KIND_SERVICE, "users", []byte("old"))
	keys := gatewayv1.EntryDigest(gatewayv1.Kind_KIND_KEY, "alice", nil)
	a := b.connect("a", func(a *Arrival) {
		a.Hello.Version, a.Hello.Address = "v1", "10.0.0.1:80"
		a.Hello.Parts = []*gatewayv1.PartState{
			{Part: configPart, Revision: 8, Digest: received.Bytes()}, {Part: keysPart, Revision: 5, Digest: keys.Bytes()},
		}
		a.Hello.Serving = []*gatewayv1.PartState{{Part: configPart, Revision: 6, Digest: served.Bytes()}}
	})
	b.advance(time.Second)
	a.Heartbeat(a.stream, "10.0.0.1:8080", -1500*time.Microsecond)
	got := a.Describe(store.State{Revision: 12, Config: store.Part{Revision: 8}, Keys: store.Part{Revision: 9}})
	want := &gatewayv1.DataPlane{
		Id: "a", Address: "10.0.0.1:8080", Version: "v1", State: gatewayv1.DataPlaneState_DATA_PLANE_STATE_LAGGING,
		Revision: 6, ConfigRevision: 6, KeysRevision: 5, Digest: served.Add(keys).Bytes(), DesiredRevision: 9,
		ConnectedAtMs: b.clock().Add(-time.Second).UnixMilli(), LastSeenAtMs: b.clock().UnixMilli(), ClockOffsetMs: -1.5,
		Reason: "config not confirmed yet, newest is revision 8",
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("Describe() differs (-want +got):\n%s", diff)
	}
	if _, holds := a.Foreign(); holds != (store.Ancestor{Epoch: epoch, Revision: 8}) {
		t.Errorf("Foreign() holds %v, want what was received", holds)
	}
}

func TestBreakers(t *testing.T) {
	b := newBench(t)
	a := b.connect("a")
	report := func(r *gatewayv1.BreakerReport) { a.ReportBreakers(a.stream, r) }
	want := func(services ...string) {
		t.Helper()
		var got []string
		for _, s := range a.Breakers("") {
			got = append(got, s.GetService())
		}
		if !cmp.Equal(got, services) {
			t.Errorf("Breakers() = %q, want %q", got, services)
		}
	}
	states := func(names ...string) (s []*gatewayv1.BreakerState) {
		for _, name := range names {
			s = append(s, &gatewayv1.BreakerState{Service: name})
		}
		return s
	}
	report(&gatewayv1.BreakerReport{Reset_: true, States: states("users", "orders")})
	report(&gatewayv1.BreakerReport{States: states("carts")})
	want("carts", "orders", "users")
	report(&gatewayv1.BreakerReport{Removed: []string{"users", "nobody"}, States: states("carts")})
	want("carts", "orders")
	if got := a.Breakers("orders"); len(got) != 1 || len(a.Breakers("users")) != 0 {
		t.Errorf("Breakers(orders) = %v", got)
	}
	report(&gatewayv1.BreakerReport{Reset_: true, States: states("users")})
	want("users")
	a.leave()
	want()
	b.connect("a")
	want()
}

func TestBreakersAreBounded(t *testing.T) {
	b := newBench(t)
	a := b.connect("a")
	for i := range gatewayv1.MaxServices/1000 + 2 {
		r := &gatewayv1.BreakerReport{}
		for j := range 1000 {
			r.States = append(r.States, &gatewayv1.BreakerState{Service: fmt.Sprint(i*1000 + j)})
		}
		a.ReportBreakers(a.stream, r)
	}
	if n := len(a.Breakers("")); n != gatewayv1.MaxServices {
		t.Errorf("%d breakers are kept, want %d", n, gatewayv1.MaxServices)
	}
	a.ReportBreakers(a.stream, &gatewayv1.BreakerReport{States: []*gatewayv1.BreakerState{{Service: "7", Trips: 3}}})
	if got := a.Breakers("7"); len(got) != 1 || got[0].GetTrips() != 3 {
		t.Errorf("a full table does not take news of what it has: %v", got)
	}
	long := strings.Repeat("x", 1<<20)
	a.ReportBreakers(a.stream, &gatewayv1.BreakerReport{Reset_: true})
	for i := range 100 {
		a.ReportBreakers(a.stream, &gatewayv1.BreakerReport{States: []*gatewayv1.BreakerState{{Service: fmt.Sprint(i), LastError: long}}})
	}
	if n := len(a.Breakers("")); n < 60 || n > 64 {
		t.Errorf("%d breakers of 1 MiB are kept, want 64 MiB of them", n)
	}
}
