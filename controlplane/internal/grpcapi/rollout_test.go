package grpcapi

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// rollouts opens a watch.
func (w *world) rollouts(req *gatewayv1.WatchRolloutRequest) func() *gatewayv1.WatchRolloutResponse {
	w.t.Helper()
	stream, err := gatewayv1.NewRolloutServiceClient(w.conn).WatchRollout(w.ctx(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	return func() *gatewayv1.WatchRolloutResponse {
		w.t.Helper()
		m, err := stream.Recv()
		if err != nil {
			w.t.Fatal(err)
		}
		if m.GetDone() {
			if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
				w.t.Errorf("after the last message: %v, want the end", err)
			}
		}
		return m
	}
}

func TestWatchRollout(t *testing.T) {
	w := newWorld(t, options{})
	a, b := w.joins("a"), w.joins("b")
	revision := w.addKey("alice")
	next := w.rollouts(&gatewayv1.WatchRolloutRequest{Part: keysPart, Revision: revision, Entry: "alice", TimeoutMs: 60_000})
	if m := next(); m.GetDone() || len(m.GetRollout().GetLagging()) != 2 {
		t.Errorf("at first: %v, want both lagging", m)
	}
	a.answer(a.take())
	m := next()
	if m.GetDone() || len(m.GetRollout().GetApplied()) != 1 || m.GetRollout().GetLagging()[0].GetRevision() != revision-2 {
		t.Errorf("after one answer: %v", m)
	}
	b.answer(b.take())
	m = next()
	if !m.GetDone() || !m.GetProven() || len(m.GetRollout().GetApplied()) != 2 {
		t.Errorf("after both: %v, want it proven", m)
	}
	for _, by := range m.GetRollout().GetApplied() {
		if by.GetAfterMs() <= 0 {
			t.Errorf("%s served it after %v ms", by.GetDataplane(), by.GetAfterMs())
		}
	}
}

// A data plane that comes back says which keys admit nobody there: whoever asks for one of them is told.
func TestUnusableAfterReconnect(t *testing.T) {
	w := newWorld(t, options{})
	p := w.joins("a")
	revision := w.addKey("alice")
	p.catchUp(w, keysPart)
	w.becomes("a", serving)
	p.leave(w)
	h := p.hello()
	h.Unusable = append(h.GetUnusable(), &gatewayv1.UnusableEntry{Id: "alice", Reason: "torn\x1b[0m"})
	for i := range 2 * maxUnusable {
		h.Unusable = append(h.GetUnusable(), &gatewayv1.UnusableEntry{Id: fmt.Sprint("key-", i), Reason: "torn"})
	}
	p.dial(w)
	p.say(h)
	w.becomes("a", serving)
	for entry, want := range map[string]string{"alice": "unusable: torn [0m", fmt.Sprint("key-", 2*maxUnusable-1): ""} {
		m := w.rollouts(&gatewayv1.WatchRolloutRequest{Part: keysPart, Revision: revision, Entry: entry, TimeoutMs: 60_000})()
		got := ""
		for _, by := range m.GetRollout().GetRejected() {
			got += by.GetReason()
		}
		if !m.GetDone() || got != want {
			t.Errorf("%s: %v, want it rejected by %q", entry, m, want)
		}
	}
}

func TestWatchRolloutEnds(t *testing.T) {
	w := newWorld(t, options{})
	p := w.joins("a")
	revision := w.addKey("alice")
	timeout := w.rollouts(&gatewayv1.WatchRolloutRequest{Part: keysPart, Revision: revision, TimeoutMs: 1})
	for m := timeout(); ; m = timeout() {
		if m.GetProven() {
			t.Errorf("proven without an answer: %v", m)
		}
		if m.GetDone() {
			break
		}
	}
	p.answer(p.take())
	w.becomes("a", serving)
	p.leave(w)
	gone := w.rollouts(&gatewayv1.WatchRolloutRequest{Part: keysPart, Revision: revision, Revocation: true, TimeoutMs: 1})
	m := gone()
	for !m.GetDone() {
		m = gone()
	}
	if m.GetProven() || len(m.GetRollout().GetDisconnected()) != 1 {
		t.Errorf("%v, want it disconnected", m)
	}
	for _, req := range []*gatewayv1.WatchRolloutRequest{{Revision: 1}, {Part: keysPart}, {Part: 9, Revision: 1}} {
		stream, err := gatewayv1.NewRolloutServiceClient(w.conn).WatchRollout(w.ctx(), req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		wantStatus(t, err, codes.InvalidArgument, fmt.Sprintf("rollout: got part %v revision %d (want config or keys, and a revision from 1)", req.GetPart(), req.GetRevision()))
	}
}

func TestWait(t *testing.T) {
	for ms, want := range map[int64]time.Duration{0: 10 * time.Second, -5: 10 * time.Second, 250: 250 * time.Millisecond, 1 << 62: time.Hour} {
		if got := wait(ms); got != want {
			t.Errorf("wait(%d) = %v, want %v", ms, got, want)
		}
	}
}
