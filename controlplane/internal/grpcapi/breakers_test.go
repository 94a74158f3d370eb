package grpcapi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestListBreakers(t *testing.T) {
	w := newWorld(t, options{})
	p := w.joins("a")
	open := &gatewayv1.BreakerState{Service: "users", State: gatewayv1.CircuitState_CIRCUIT_STATE_OPEN, Trips: 2, LastError: "refused\n"}
	closed := &gatewayv1.BreakerState{Service: "orders", State: gatewayv1.CircuitState_CIRCUIT_STATE_CLOSED}
	p.say(&gatewayv1.BreakerReport{Reset_: true, States: []*gatewayv1.BreakerState{open, closed}})
	w.eventually("breakers are known", func() bool { return len(w.fleet.Member("a").Breakers("")) == 2 })
	c := gatewayv1.NewBreakerServiceClient(w.conn)
	stream, err := c.ListBreakers(w.ctx(), &gatewayv1.ListBreakersRequest{Service: "users", Watch: true})
	if err != nil {
		t.Fatal(err)
	}
	next := func() *gatewayv1.ListBreakersResponse {
		t.Helper()
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	cleaned := proto.CloneOf(open)
	cleaned.LastError = "refused "
	want := &gatewayv1.ListBreakersResponse{Breakers: []*gatewayv1.DataPlaneBreaker{{Dataplane: "a", State: cleaned}}}
	if diff := cmp.Diff(want, next(), protocmp.Transform()); diff != "" {
		t.Errorf("first page differs (-want +got):\n%s", diff)
	}
	if !next().GetSynced() {
		t.Error("synced is not set after what there was")
	}
	// The same again and other services are no news; what changed is.
	p.say(&gatewayv1.BreakerReport{States: []*gatewayv1.BreakerState{open, {Service: "orders", Trips: 1}}})
	p.say(&gatewayv1.BreakerReport{States: []*gatewayv1.BreakerState{{Service: "users", Trips: 3}}})
	if got := next().GetBreakers(); len(got) != 1 || got[0].GetState().GetTrips() != 3 {
		t.Errorf("next = %v, want users with 3 trips", got)
	}
	// What goes is said once: with its service, or with its data plane.
	gone := &gatewayv1.ListBreakersResponse{Breakers: []*gatewayv1.DataPlaneBreaker{{Dataplane: "a", State: &gatewayv1.BreakerState{Service: "users"}}}}
	p.say(&gatewayv1.BreakerReport{Removed: []string{"users", "orders"}})
	if diff := cmp.Diff(gone, next(), protocmp.Transform()); diff != "" {
		t.Errorf("after the service went (-want +got):\n%s", diff)
	}
	p.say(&gatewayv1.BreakerReport{States: []*gatewayv1.BreakerState{closed, open}})
	if diff := cmp.Diff(want, next(), protocmp.Transform()); diff != "" {
		t.Errorf("after the service came back (-want +got):\n%s", diff)
	}
	p.leave(w)
	if diff := cmp.Diff(gone, next(), protocmp.Transform()); diff != "" {
		t.Errorf("after the data plane went (-want +got):\n%s", diff)
	}

	unknown, err := c.ListBreakers(w.ctx(), &gatewayv1.ListBreakersRequest{Service: "nope"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = unknown.Recv()
	wantStatus(t, err, codes.NotFound, `unknown service "nope"`)
}

func TestResetBreaker(t *testing.T) {
	w := newWorld(t, options{})
	c := gatewayv1.NewBreakerServiceClient(w.conn)
	does, fails, silent := w.joins("does"), w.joins("fails"), w.joins("silent")
	w.joins("gone").leave(w)
	reset := func(req *gatewayv1.ResetBreakerRequest) (<-chan *gatewayv1.ResetBreakerResponse, <-chan error) {
		resp, errs := make(chan *gatewayv1.ResetBreakerResponse, 1), make(chan error, 1)
		go func() {
			r, err := c.ResetBreaker(w.ctx(), req)
			resp <- r
			errs <- err
		}()
		return resp, errs
	}
	resp, errs := reset(&gatewayv1.ResetBreakerRequest{Service: "users", TimeoutMs: 300})
	does.obey()
	cmd := fails.hear().GetCommand()
	if cmd.GetResetBreaker().GetService() != "users" {
		t.Errorf("command = %v", cmd)
	}
	fails.say(&gatewayv1.CommandResult{Id: cmd.GetId(), Error: `service "users": no breaker`})
	silent.hear()
	got := (<-resp).GetRollout()
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	want := &gatewayv1.Rollout{
		Applied: []*gatewayv1.AppliedBy{{Dataplane: "does"}}, Lagging: []*gatewayv1.LaggingBy{{Dataplane: "silent"}},
		Rejected:     []*gatewayv1.RejectedBy{{Dataplane: "fails", Reason: `service "users": no breaker`}},
		Disconnected: []*gatewayv1.DisconnectedFrom{{Dataplane: "gone"}},
	}
	ignore := []cmp.Option{protocmp.Transform(), protocmp.IgnoreFields(&gatewayv1.AppliedBy{}, "after_ms"), protocmp.IgnoreFields(&gatewayv1.DisconnectedFrom{}, "last_seen_at_ms")}
	if diff := cmp.Diff(want, got, ignore...); diff != "" {
		t.Errorf("rollout differs (-want +got):\n%s", diff)
	}
	resp, errs = reset(&gatewayv1.ResetBreakerRequest{Service: "users", Dataplane: "does"})
	does.obey()
	if got := (<-resp).GetRollout(); len(got.GetApplied()) != 1 || len(got.GetLagging()) != 0 || <-errs != nil {
		t.Errorf("reset on one = %v", got)
	}
	for _, test := range []struct {
		req     *gatewayv1.ResetBreakerRequest
		code    codes.Code
		message string
	}{
		{&gatewayv1.ResetBreakerRequest{}, codes.InvalidArgument, "breaker reset: got no service (want a name)"},
		{&gatewayv1.ResetBreakerRequest{Service: "nope"}, codes.NotFound, `unknown service "nope"`},
		{&gatewayv1.ResetBreakerRequest{Service: "users", Dataplane: "nope"}, codes.NotFound, `unknown data plane "nope"`},
	} {
		_, err := c.ResetBreaker(w.ctx(), test.req)
		wantStatus(t, err, test.code, test.message)
	}
}
