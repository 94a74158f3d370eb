package grpcapi

import (
	"testing"

	"google.golang.org/grpc/codes"

	"apigateway/controlplane/internal/fleet"
)

// A process that has handed its id over goes on being told, beside the one that holds the id now, and a revocation waits for both.
func TestDepartingProcess(t *testing.T) {
	w := newWorld(t, options{})
	w.addKey("alice")
	old := w.joins("a")
	old.leave(w)
	old.departs = true
	old.connect(w)

	next := newPeer(t, "a")
	next.dial(w)
	h := next.hello()
	h.Instance = "the next one"
	next.say(h)
	if next.hear().GetWelcome() == nil {
		t.Fatal("the next one is not welcome")
	}
	next.takeBoth()
	w.becomes("a", serving)

	change, err := w.keys.Revoke(w.ctx(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	revocation := fleet.Change{Part: keysPart, Revision: change.Revision, Revocation: true}
	next.answer(next.take())
	w.becomes("a", serving)
	if got := w.fleet.Standing(revocation); got.Proven || len(got.Rollout.GetLagging()) != 1 {
		t.Errorf("Standing() = %+v, want it to wait for the process that departs", got)
	}
	old.answer(old.take())
	if old.has("alice") {
		t.Error("the process that departs still has alice")
	}
	w.eventually("it is proven", func() bool { return w.fleet.Standing(revocation).Proven })
	old.end()
	_ = old.ends()
	w.becomes("a", serving)
}

// An id that nobody knows cannot be handed over: the process tries again until the next one has it.
func TestDepartingFromNobody(t *testing.T) {
	w := newWorld(t, options{})
	p := newPeer(t, "a")
	p.departs = true
	p.dial(w)
	p.say(p.hello())
	if got := p.ends(); got.Code() != codes.NotFound {
		t.Errorf("the stream ended %v, want not found", got)
	}
	if got := len(w.fleet.Members()); got != 0 {
		t.Errorf("%d data planes, want none", got)
	}
}
