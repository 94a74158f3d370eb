package configs

import (
	"fmt"
	"sync"
	"testing"
	"time"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// herd is how many data planes come back at once, and to how many keys.
func herd() (dataplanes, keys int) {
	if long {
		return 5000, 5000
	}
	return 200, 500
}

// All data planes come back at once after a restart of the control plane, every other one with nothing: all of them come to the newest state,
// and what that takes stays below three times the memory that they take at rest.
func TestHerdIsSurvived(t *testing.T) {
	n, keys := herd()
	f := newFleet(t)
	f.write(keysFile(keys, service("users", guarded, unlimited, newBackend(t, "backend-1"))))
	f.spawn = true
	control := f.startControl()
	all := newFollowers(t, n, f.grpc)
	_, revision := f.addKey("before")
	first := all.awaitAll(revision)
	f.awaitAllServing(n)
	steady := f.usage(control)

	for i, w := range all.all {
		w.forget.Store(i%2 == 0)
	}
	f.kill(control)
	control = f.startControl()
	back := time.Now()
	watch := f.watchMemory(control)
	_, revision = f.addKey("after")
	all.awaitAll(revision)
	f.awaitAllServing(n)
	took, peak := time.Since(back), watch()
	t.Logf("%d data planes: %v for the first time, %v after the restart; memory %d kB at rest, at most %d kB after the restart, garbage included",
		n, first.Round(time.Millisecond), took.Round(time.Millisecond), steady.bytes()>>10, peak>>10)
	if peak >= 3*steady.bytes() {
		t.Errorf("the herd took up to %d bytes, want less than three times %d", peak, steady.bytes())
	}
	again := 0
	for _, w := range all.all {
		if w.streams.Load() > 1 {
			again++
		}
	}
	if again != n {
		t.Errorf("%d data planes came back, want all of %d", again, n)
	}
	all.stop()
}

// awaitAllServing returns once the control plane shows n data planes as serving the newest state, and no other ones.
func (f *fleet) awaitAllServing(n int) {
	f.t.Helper()
	states := map[gatewayv1.DataPlaneState]int{}
	f.awaitOr("the control plane to show all data planes as serving", func() bool {
		clear(states)
		for _, d := range f.dataplanes() {
			states[d.GetState()]++
		}
		return len(states) == 1 && states[gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING] == n
	}, func() string { return fmt.Sprint(states) })
}

// watchMemory looks at what a plane takes until stop is called, which returns the most of heap and stacks, garbage included.
func (f *fleet) watchMemory(p *plane) (stop func() int) {
	ending, most := make(chan struct{}), 0.0
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			if page, err := f.try(p.admin, "/metrics", ""); err == nil {
				series := parseMetrics(page.body)
				most = max(most, series["go_memstats_heap_alloc_bytes"]+series["go_memstats_stack_inuse_bytes"])
			}
			select {
			case <-ending:
				return
			case <-tick.C:
			}
		}
	})
	return func() int {
		close(ending)
		done.Wait()
		return int(most)
	}
}
