package configs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"apigateway/proto/apikey"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// slowReader is the size of TestSlowReaderHarmsOnlyItself.
type slowReader struct {
	followers, keys  int // at rest; one more follower reads nothing
	quietly, changes int // changes of keys without and with it
}

func slowReaders() slowReader {
	if long {
		return slowReader{followers: 99, keys: 30_000, quietly: 2000, changes: 10_000}
	}
	return slowReader{followers: 9, keys: 15_000, quietly: 100, changes: 400}
}

// One data plane of many reads nothing, in the middle of a snapshot, while keys change: it costs the control plane no more than two
// snapshots, the others have each change as soon as without it, and it has all of them once it reads again.
func TestSlowReaderHarmsOnlyItself(t *testing.T) {
	const rounds = 20 // of changes, with a look at the memory after each: after 30 s the slow one is cut
	size := slowReaders()
	f := newFleet(t)
	f.write(keysFile(size.keys, service("users", guarded, unlimited, newBackend(t, "backend-1"))))
	f.spawn = true
	control := f.startControl()
	all := newFollowers(t, size.followers, f.grpc)
	_, revision := f.addKey("first")
	all.awaitAll(revision)
	for _, w := range all.all {
		w.noting.Store(true)
	}
	quietly := f.churn("quietly", size.quietly)
	all.awaitAll(quietly[len(quietly)-1].revision)

	slow := &follower{id: "slow", address: f.grpc, checks: true}
	slow.gate.Lock()
	all.start(slow)
	f.await("the slow one to begin", func() bool { return slow.streams.Load() == 1 })
	var loudly []change
	var stalled usage // the most while the slow one is here
	for i := range rounds {
		loudly = append(loudly, f.churn(fmt.Sprint("loudly-", i), size.changes/rounds)...)
		if u := f.usage(control); f.dataplanes()["slow"].GetState() == gatewayv1.DataPlaneState_DATA_PLANE_STATE_LAGGING {
			stalled = usage{heap: max(stalled.heap, u.heap), stacks: max(stalled.stacks, u.stacks), goroutines: max(stalled.goroutines, u.goroutines)}
		}
	}
	if stalled.heap == 0 {
		t.Fatal("the slow one is gone before it could cost anything")
	}
	last := loudly[len(loudly)-1].revision
	f.await("all but the slow one to serve the last change", func() bool { return all.behind(last) == 1 })
	slow.gate.Unlock()
	took := all.awaitAll(last)
	settled := f.usage(control)
	all.stop()

	snapshot := slow.largest
	t.Logf("memory of the control plane: %d kB with the slow reader, %d kB once it has read; a snapshot has %d kB; it converged within %v",
		stalled.bytes()>>10, settled.bytes()>>10, snapshot>>10, took.Round(time.Millisecond))
	if cost := stalled.bytes() - settled.bytes(); cost > 2*snapshot {
		t.Errorf("the slow reader cost %d bytes, want at most two snapshots of %d", cost, snapshot)
	}
	if cost := stalled.goroutines - settled.goroutines; cost > 20 {
		t.Errorf("the slow reader cost %d goroutines, want none", cost)
	}
	t.Logf("latency without it: %s", all.latency(quietly, slow))
	t.Logf("latency with it:    %s", all.latency(loudly, slow))
}

// keysFile is a configuration with so many keys.
func keysFile(n int, services ...string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ", {name: %s-%05d, sha256: \"%x\"}", strings.Repeat("key-of-a-file-", 3), i, apikey.Hash(fmt.Sprint("secret-", i)))
	}
	return strings.Replace(configuration(services...), "}]}", "}"+b.String()+"]}", 1)
}

// change is a change of the keys that was acknowledged.
type change struct {
	revision uint64
	asked    time.Time
}

// churn adds and revokes keys as fast as they are acknowledged, several at a time, and returns the changes in the order of their revisions.
// Afterwards there are as many keys as before.
func (f *fleet) churn(prefix string, changes int) []change {
	f.t.Helper()
	const workers = 10
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		made  []change
		wrong error
	)
	for worker := range workers {
		group.Go(func() {
			for i := range changes / workers {
				asked := time.Now()
				revision, err := f.change(fmt.Sprintf("%s-%d-%d", prefix, worker, i/2), i%2 == 0)
				mu.Lock()
				made, wrong = append(made, change{revision, asked}), err
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	group.Wait()
	if wrong != nil {
		f.t.Fatal(wrong)
	}
	slices.SortFunc(made, func(a, b change) int { return int(a.revision) - int(b.revision) })
	return made
}

// change adds or revokes a key and returns the revision that did.
func (f *fleet) change(name string, add bool) (uint64, error) {
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	keys := gatewayv1.NewKeyServiceClient(f.conn)
	if !add {
		r, err := keys.RevokeKey(ctx, &gatewayv1.RevokeKeyRequest{NameOrId: name})
		return r.GetRevision(), err
	}
	hash := apikey.Hash(name)
	r, err := keys.AddKey(ctx, &gatewayv1.AddKeyRequest{Name: name, Sha256: hash[:]})
	return r.GetRevision(), err
}

// latency describes how long it took from the call that made a change to its service by all but one.
func (s *followers) latency(changes []change, except *follower) string {
	var took []time.Duration
	for _, w := range s.all {
		if w == except {
			continue
		}
		arrivals := w.arrivals
		for _, c := range changes {
			i, _ := slices.BinarySearchFunc(arrivals, c.revision, func(a arrival, r uint64) int { return int(a.revision) - int(r) })
			if i < len(arrivals) {
				took = append(took, arrivals[i].at.Sub(c.asked))
			}
		}
	}
	slices.Sort(took)
	at := func(q float64) time.Duration {
		return took[int(q*float64(len(took)-1))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("p50 %v, p90 %v, p99 %v, max %v of %d arrivals", at(0.5), at(0.9), at(0.99), at(1), len(took))
}
