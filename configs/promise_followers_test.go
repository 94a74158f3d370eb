package configs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// follower is what a data plane is to the control plane, and nothing else: it takes in what it is sent, says that it serves it, and connects
// again when its stream ends. Thousands of them fit into one test: every tenth checks that what it is sent leads to the digest that it is
// told, the others believe it.
type follower struct {
	id, address string
	checks      bool
	gate        sync.Mutex    // held by a test: it reads nothing after Welcome
	serving     atomic.Uint64 // revision of the keys
	streams     atomic.Int64  // Welcomes
	forget      atomic.Bool   // it begins its next stream with nothing, as one without a cache after a restart
	noting      atomic.Bool   // it keeps arrivals

	// Of its own goroutine until it has ended.
	epoch    string
	parts    map[gatewayv1.Part]*followed
	arrivals []arrival
	largest  int      // bytes of the largest snapshot of the keys
	wrong    []string // what no control plane should have sent
}

// followed is one part.
type followed struct {
	state   *gatewayv1.PartState // nil: nothing is here
	digest  gatewayv1.Digest     // of entries
	entries map[string]gatewayv1.Digest
	bytes   int // of the snapshot under way
}

// arrival is the moment at which a follower had a revision of the keys.
type arrival struct {
	revision uint64
	at       time.Time
}

// followers run until the end of the test.
type followers struct {
	t    *testing.T
	all  []*follower
	end  context.CancelFunc
	done sync.WaitGroup
	ctx  context.Context
}

// newFollowers starts n of them.
func newFollowers(t *testing.T, n int, address string) *followers {
	t.Helper()
	s := &followers{t: t}
	s.ctx, s.end = context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(s.stop)
	for i := range n {
		s.start(&follower{id: fmt.Sprintf("follower-%d", i), address: address, checks: i%10 == 0})
	}
	return s
}

func (s *followers) start(w *follower) {
	w.parts = map[gatewayv1.Part]*followed{gatewayv1.Part_PART_CONFIG: {}, gatewayv1.Part_PART_KEYS: {}}
	s.all = append(s.all, w)
	s.done.Go(func() { w.run(s.ctx) })
}

// stop ends them all and fails the test if one was told something wrong. It may be called again.
func (s *followers) stop() {
	s.t.Helper()
	s.end()
	s.done.Wait()
	for _, w := range s.all {
		for _, problem := range w.wrong {
			s.t.Errorf("%s: %s", w.id, problem)
		}
		w.wrong = nil
	}
}

// behind counts those that do not serve a revision of the keys.
func (s *followers) behind(revision uint64) (n int) {
	for _, w := range s.all {
		if w.serving.Load() < revision {
			n++
		}
	}
	return n
}

// awaitAll returns once all of them serve a revision of the keys, and how long that took.
func (s *followers) awaitAll(revision uint64) time.Duration {
	s.t.Helper()
	began := time.Now()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for s.behind(revision) > 0 {
		if time.Since(began) > 4*patience { // there may be thousands of them
			s.t.Fatalf("%d of %d do not serve revision %d after %v", s.behind(revision), len(s.all), revision, 4*patience)
		}
		<-tick.C
	}
	return time.Since(began)
}

// run opens one stream after the other, with the pauses of a data plane.
func (w *follower) run(ctx context.Context) {
	for attempt := 0; ; attempt++ {
		before := w.streams.Load()
		w.stream(ctx)
		if w.streams.Load() > before {
			attempt = 0
		}
		pause := time.NewTimer(100*time.Millisecond + rand.N(min(400*time.Millisecond<<min(attempt, 10), 10*time.Second)))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// stream is one from Hello to its end. Buffers are small and windows fixed: what one does not read stays with the control plane.
func (w *follower) stream(ctx context.Context) {
	const window, buffer = 64 << 10, 4 << 10
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := grpc.NewClient(w.address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window), grpc.WithReadBufferSize(buffer), grpc.WithWriteBufferSize(buffer),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(2*gatewayv1.MaxMessage)))
	if err != nil {
		w.note("%v", err)
		return
	}
	defer func() { _ = conn.Close() }() // the stream has ended, how does not matter
	stream, err := gatewayv1.NewSyncServiceClient(conn).Sync(ctx)
	if err != nil {
		return // there is no control plane now
	}
	var sending sync.Mutex
	say := func(m *gatewayv1.SyncRequest) {
		sending.Lock()
		defer sending.Unlock()
		_ = stream.Send(m) // why it failed is what Recv returns
	}
	say(&gatewayv1.SyncRequest{Message: &gatewayv1.SyncRequest_Hello{Hello: w.hello()}})
	var beats sync.WaitGroup
	defer beats.Wait()
	defer cancel() // before the wait
	beats.Go(func() { beat(ctx, say) })
	for m, err := stream.Recv(); err == nil; m, err = stream.Recv() {
		if a := w.take(m); a != nil {
			say(&gatewayv1.SyncRequest{Message: &gatewayv1.SyncRequest_Applied{Applied: a}})
			w.served(a)
		}
		w.pass()
	}
}

// pass waits as long as the test wants.
func (w *follower) pass() {
	w.gate.Lock()
	defer w.gate.Unlock()
}

// beat says that the follower is alive, whether it reads or not.
func beat(ctx context.Context, say func(*gatewayv1.SyncRequest)) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			say(&gatewayv1.SyncRequest{Message: &gatewayv1.SyncRequest_Heartbeat{Heartbeat: &gatewayv1.DataPlaneHeartbeat{TimeUs: time.Now().UnixMicro()}}})
		}
	}
}

func (w *follower) hello() *gatewayv1.Hello {
	h := &gatewayv1.Hello{Id: w.id, Instance: "instance of " + w.id, Version: "test", Epoch: w.epoch}
	empty := w.forget.Swap(false)
	for _, p := range w.parts {
		if empty {
			*p = followed{}
		}
		if p.state != nil {
			h.Parts = append(h.Parts, p.state)
		}
	}
	return h
}

// take takes a message in and returns what is to be said of it.
func (w *follower) take(m *gatewayv1.SyncResponse) *gatewayv1.Applied {
	switch {
	case m.GetWelcome() != nil:
		w.welcome(m.GetWelcome())
	case m.GetSnapshot() != nil:
		return w.takeChunk(m.GetSnapshot(), proto.Size(m))
	case len(m.GetRecords()) > 0:
		return w.takeRecords(m.GetRecords())
	}
	return nil
}

func (w *follower) welcome(m *gatewayv1.Welcome) {
	if m.GetForeign() != "" {
		w.note("foreign: %s", m.GetForeign())
	}
	w.epoch = m.GetEpoch()
	w.streams.Add(1)
}

func (w *follower) takeChunk(c *gatewayv1.SnapshotChunk, size int) *gatewayv1.Applied {
	p := w.parts[c.GetState().GetPart()]
	if c.GetIndex() == 0 {
		*p = followed{entries: map[string]gatewayv1.Digest{}}
	}
	p.bytes += size
	if w.checks {
		p.change(nil, c.GetEntries())
	}
	if !c.GetLast() {
		return nil
	}
	if c.GetState().GetPart() == gatewayv1.Part_PART_KEYS {
		w.largest = max(w.largest, p.bytes)
	}
	p.state = c.GetState()
	return w.judge(p)
}

func (w *follower) takeRecords(records []*gatewayv1.Record) *gatewayv1.Applied {
	p := w.parts[records[0].GetPart()]
	if p.state == nil {
		w.note("records of %v, of which nothing is here", records[0].GetPart())
		return nil
	}
	for _, r := range records {
		if r.GetRevision() <= p.state.GetRevision() {
			w.note("record %d after revision %d", r.GetRevision(), p.state.GetRevision())
		}
		if w.checks {
			p.change(r.GetRemoves(), r.GetPuts())
		}
		p.state = &gatewayv1.PartState{Part: r.GetPart(), Revision: r.GetRevision(), Digest: r.GetDigestAfter(), Count: p.state.GetCount() + uint64(len(r.GetPuts())) - uint64(len(r.GetRemoves()))}
	}
	return w.judge(p)
}

func (p *followed) change(removes []*gatewayv1.EntryRef, puts []*gatewayv1.Entry) {
	for _, e := range removes {
		p.remove(e.GetId())
	}
	for _, e := range puts {
		p.remove(e.GetId())
		d := gatewayv1.EntryDigest(e.GetKind(), e.GetId(), e.GetValue())
		p.entries[e.GetId()], p.digest = d, p.digest.Add(d)
	}
}

func (p *followed) remove(id string) {
	if old, ok := p.entries[id]; ok {
		p.digest = p.digest.Sub(old)
		delete(p.entries, id)
	}
}

// judge compares what is here with what it should be, and says that it is served.
func (w *follower) judge(p *followed) *gatewayv1.Applied {
	s := p.state
	want, err := gatewayv1.ParseDigest(s.GetDigest())
	if err != nil || w.checks && (want != p.digest || s.GetCount() != uint64(len(p.entries))) {
		w.note("%v at revision %d: %d entries of digest %v, want %d of %v", s.GetPart(), s.GetRevision(), len(p.entries), p.digest, s.GetCount(), want)
	}
	return &gatewayv1.Applied{Part: s.GetPart(), Revision: s.GetRevision(), Digest: s.GetDigest()}
}

// served notes the revision that is served from now on.
func (w *follower) served(a *gatewayv1.Applied) {
	if a.GetPart() != gatewayv1.Part_PART_KEYS {
		return
	}
	w.serving.Store(a.GetRevision())
	if w.noting.Load() {
		w.arrivals = append(w.arrivals, arrival{a.GetRevision(), time.Now()})
	}
}

func (w *follower) note(format string, args ...any) {
	if len(w.wrong) < 10 {
		w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
	}
}
