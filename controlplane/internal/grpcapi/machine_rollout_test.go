package grpcapi

import (
	"context"
	"fmt"
	"time"

	"pgregory.net/rapid"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// watcher waits for a change to be proven, as operators do.
type watcher struct {
	part     gatewayv1.Part
	revision uint64
	timeout  time.Duration
	began    time.Time
	end      context.CancelFunc
	last     chan *gatewayv1.WatchRolloutResponse // capacity 1: the final one
	took     time.Duration                        // valid once last has it
	over     bool
}

func (x *machine) rollout(t *rapid.T) {
	part := rapid.SampledFrom(parts[:]).Draw(t, "part")
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{
		part: part, revision: x.w.publisher.State().Part(part).Revision, timeout: 20 * time.Second, began: time.Now(), end: cancel,
		last: make(chan *gatewayv1.WatchRolloutResponse, 1),
	}
	stream, err := gatewayv1.NewRolloutServiceClient(x.w.conn).WatchRollout(ctx, &gatewayv1.WatchRolloutRequest{
		Part: part, Revision: w.revision, TimeoutMs: w.timeout.Milliseconds(),
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			if m.GetDone() {
				w.took = time.Since(w.began)
				w.last <- m
			}
		}
	}()
	x.watchers = append(x.watchers, w)
	x.pump()
}

// poll checks the final answer.
func (w *watcher) poll(x *machine) {
	select {
	case m := <-w.last:
		w.over = true
		if why := w.wrong(x, m); why != "" {
			x.rt.Fatalf("rollout of revision %d of %v ends after %v with %v: %s", w.revision, w.part, w.took, m, why)
		}
	default:
		if late := time.Since(w.began); !w.over && late > w.timeout+5*time.Second {
			x.rt.Fatalf("rollout of revision %d of %v is not over after %v", w.revision, w.part, late)
		}
	}
}

func (w *watcher) wrong(x *machine, m *gatewayv1.WatchRolloutResponse) string {
	r := m.GetRollout()
	for _, a := range r.GetApplied() {
		if x.ever[fmt.Sprint(a.GetDataplane(), w.part)] < w.revision {
			return a.GetDataplane() + " never said so"
		}
	}
	clean := len(r.GetApplied()) > 0 && len(r.GetLagging()) == 0 && len(r.GetRejected()) == 0
	switch {
	case m.GetProven() != clean:
		return "proven or not"
	case !clean && w.took < w.timeout && (len(r.GetRejected()) == 0 || len(r.GetLagging()) > 0):
		return "there was time left"
	}
	return ""
}
