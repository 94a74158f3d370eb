package configsync

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// The state machine: a data plane and its cache on one side; on the other a control plane that mostly does what it should, a
// network and a store that fail in every way that the protocol knows, and messages that nobody should send. After each step
// the invariants of machine_check_test.go hold, and once all is well again the data plane comes to the newest state.
//
// go test -run TestHostilePeer ./dataplane/internal/configsync -rapid.checks=20000 is the long form; CI runs 2,000.
func TestHostilePeer(t *testing.T) {
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		_ = checks.Value.Set("40") // the short form
	}
	rapid.Check(t, func(rt *rapid.T) {
		folder := scratch(t)
		defer func() { _ = os.RemoveAll(folder) }() // there may be thousands of them
		dir := filepath.Join(folder, "cache")
		bubble(t, func(t *testing.T) {
			t.Helper()
			x := newMachine(t, rt, dir)
			defer x.stop()
			rt.Repeat(map[string]func(*rapid.T){
				"":          x.check,
				"keys":      x.changeKeys,
				"config":    x.changeConfig,
				"sync":      x.sync,
				"sync more": x.sync,
				"heartbeat": x.heartbeat,
				"wait":      x.wait,
				"cut":       x.cut,
				"outage":    x.outage,
				"refuse":    x.refuse,
				"restart":   x.restart,
				"kill":      x.kill,
				"tear":      x.tear,
				"backup":    func(*rapid.T) { x.m.backup() },
				"restore":   x.restore,
				"adopt":     x.adopt,
				"replay":    x.replay,
				"lose":      x.lose,
				"repeat":    x.repeat,
				"forge":     x.forge,
				"snapshot":  x.badSnapshot,
				"stranger":  x.stranger,
				"nonsense":  x.nonsense,
			})
			x.heal()
		})
	})
}

// scratch returns a folder in memory where there is one: a cache waits for its disk at each change.
func scratch(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("/dev/shm", "hostile-peer-") //nolint:usetesting // t.TempDir is on the disk
	if err != nil {
		return t.TempDir()
	}
	return folder
}

// bubble runs a test of rapid in one of synctest. Panics, which rapid ends a run with, are handed over to it: a failure and a
// lack of random bytes from two lines, because it tells one failure from another by where it came from.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	var failure any
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if failure = recover(); failure != nil && !strings.HasPrefix(fmt.Sprintf("%T", failure), "rapid.") {
				failure = fmt.Sprintf("%v\n%s", failure, debug.Stack())
			}
		}()
		test(t)
	})
	switch fmt.Sprintf("%T", failure) {
	case "<nil>":
	case "rapid.invalidData":
		panic(failure)
	default:
		panic(failure)
	}
}

// machine is one run.
type machine struct {
	rt  *rapid.T
	t   *testing.T // of the bubble
	m   *model
	f   *fleet
	dir *cache.Dir
	run int // of the process

	peer     *peer // nil: no stream is open
	welcomed bool  // by the store itself, last
	away     bool  // the control plane takes no stream
	has      map[gatewayv1.Part]*moment

	served  map[gatewayv1.Part]int // number of the moment that was served last by this process
	durable map[gatewayv1.Part]int // and of that which a restart must not go behind
}

func newMachine(t *testing.T, rt *rapid.T, dir string) *machine {
	t.Helper()
	x := &machine{rt: rt, t: t, m: newModel(), served: map[gatewayv1.Part]int{}, durable: map[gatewayv1.Part]int{}}
	x.begin(dir)
	return x
}

// pump lets everything that can happen now happen, and takes in what the data plane says.
func (x *machine) pump() {
	for again := true; again; {
		synctest.Wait()
		again = x.accept()
		for x.peer != nil {
			m, ok := x.peer.poll()
			if m == nil && ok {
				break
			}
			again = true
			if !ok {
				x.peer = nil
				break
			}
			x.hear(m)
		}
	}
}

// poll returns a message if there is one; ok is false at the end of the stream.
func (p *peer) poll() (m *gatewayv1.SyncRequest, ok bool) {
	select {
	case m, ok = <-p.got:
		return m, ok
	default:
		return nil, true
	}
}

func (x *machine) accept() bool {
	if x.away || x.peer != nil {
		return false
	}
	select {
	case x.peer = <-x.f.streams:
		x.peer.t = x.t
		x.welcomed, x.has = false, map[gatewayv1.Part]*moment{}
		return true
	default:
		return false
	}
}

// send is peer.say without a failure: the stream may be over.
func (x *machine) send(messages ...*gatewayv1.SyncResponse) {
	for _, m := range messages {
		if x.peer == nil {
			return
		}
		_ = x.peer.Send(m)
		x.pump()
	}
}

func saidRecords(records ...*gatewayv1.Record) *gatewayv1.SyncResponse {
	return &gatewayv1.SyncResponse{Records: records}
}

func saidChunk(c *gatewayv1.SnapshotChunk) *gatewayv1.SyncResponse {
	return &gatewayv1.SyncResponse{Message: &gatewayv1.SyncResponse_Snapshot{Snapshot: c}}
}

func saidChunks(chunks []*gatewayv1.SnapshotChunk) (list []*gatewayv1.SyncResponse) {
	for _, c := range chunks {
		list = append(list, saidChunk(c))
	}
	return list
}

func saidWelcome(w *gatewayv1.Welcome) *gatewayv1.SyncResponse {
	return &gatewayv1.SyncResponse{Message: &gatewayv1.SyncResponse_Welcome{Welcome: w}}
}

func (x *machine) changeKeys(t *rapid.T) {
	if x.m.back {
		t.Skip("restored")
	}
	x.m.changeKeys(t)
}

func (x *machine) changeConfig(t *rapid.T) {
	if x.m.back {
		t.Skip("restored")
	}
	x.m.changeConfig(t)
}

func (x *machine) anyPart(t *rapid.T) gatewayv1.Part {
	return rapid.SampledFrom([]gatewayv1.Part{keysID, configID}).Draw(t, "part")
}

// following skips what needs a stream that was welcomed.
func (x *machine) following(t *rapid.T) {
	if x.peer == nil && !x.away {
		time.Sleep(maxDelay)
		x.pump()
	}
	if x.peer == nil {
		t.Skip("no stream")
	}
	x.welcome()
	if x.peer == nil {
		t.Skip("not welcome")
	}
}

func (x *machine) welcome() {
	if x.welcomed {
		return
	}
	x.welcomed = true
	for id, k := range x.has { // of an epoch before, but the same content
		own := x.m.last(id)
		if k.epoch != x.m.epoch && own != nil && string(k.state.GetDigest()) == string(x.m.state[id].GetDigest()) {
			x.has[id] = x.m.at(id, x.m.epoch, x.m.state[id].GetRevision())
		}
	}
	x.send(saidWelcome(x.m.welcome()))
}

// sync is the control plane as it should be: it sends what is lacking of both parts.
func (x *machine) sync(t *rapid.T) {
	x.following(t)
	for range rapid.IntRange(1, 4).Draw(t, "updates") {
		x.feed(x.anyPart(t), rapid.IntRange(1, 3).Draw(t, "size"))
	}
}

// feed sends one update of a part with so many records, or entries in a chunk.
func (x *machine) feed(id gatewayv1.Part, size int) {
	if x.peer == nil || !x.welcomed || x.m.state[id].GetRevision() == 0 && id == configID {
		return
	}
	have := x.has[id]
	if have == nil || have.epoch != x.m.epoch {
		x.send(saidChunks(x.m.chunks(id, size))...)
		return
	}
	if records := x.m.since(id, have.state.GetRevision()); len(records) > 0 {
		x.send(saidRecords(records[:min(size, len(records))]...))
	}
}

func (x *machine) heartbeat(*rapid.T) {
	x.send(&gatewayv1.SyncResponse{Message: &gatewayv1.SyncResponse_Heartbeat{Heartbeat: &gatewayv1.ControlPlaneHeartbeat{TimeUs: 1}}})
}

func (x *machine) wait(t *rapid.T) {
	span := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 6 * time.Second, 20 * time.Second, 11 * time.Minute})
	time.Sleep(span.Draw(t, "time"))
	x.pump()
}

// cut ends the stream; the next one begins after a moment.
func (x *machine) cut(t *rapid.T) {
	if x.peer == nil {
		t.Skip("no stream")
	}
	x.endStream(rapid.SampledFrom([]error{nil, status.Error(codes.Aborted, "come again"), errors.New("gone")}).Draw(t, "reason"))
	time.Sleep(rapid.SampledFrom([]time.Duration{0, maxDelay}).Draw(t, "time"))
	x.pump()
}

func (x *machine) endStream(why error) {
	select {
	case x.peer.end <- why:
	default: // it ends already
	}
	x.pump()
}

// outage has the control plane go away or come back.
func (x *machine) outage(*rapid.T) {
	x.away = !x.away
	if x.away && x.peer != nil {
		x.endStream(status.Error(codes.Unavailable, "gone"))
	}
	x.pump()
}

// refuse has the next streams end as those of a second instance do.
func (x *machine) refuse(*rapid.T) {
	if len(x.f.refuse) < cap(x.f.refuse) {
		x.f.refuse <- status.Error(codes.AlreadyExists, "edge-1 is connected")
	}
}

// revision is what the data plane is known to have of a part.
func (x *machine) revision(id gatewayv1.Part) uint64 { return x.has[id].revision() }

func (k *moment) revision() uint64 {
	if k == nil {
		return 0
	}
	return k.state.GetRevision()
}

// restore brings the store's copy back: streams begin anew.
func (x *machine) restore(*rapid.T) {
	x.m.restore()
	x.newStore()
}

// adopt begins a new epoch, as operators do after a restore.
func (x *machine) adopt(*rapid.T) {
	x.m.adopt()
	x.newStore()
}

func (x *machine) newStore() {
	if x.peer != nil {
		x.endStream(status.Error(codes.Aborted, "new epoch"))
	}
}

// heal ends all faults and waits until the newest state is served.
func (x *machine) heal() {
	for len(x.f.refuse) > 0 {
		x.rt.Logf("not any more: %v", <-x.f.refuse)
	}
	x.away = false
	if x.m.back {
		x.m.adopt()
	}
	x.m.repair()
	if x.peer != nil {
		x.endStream(nil)
	}
	const limit, whole = time.Minute, 1000 // the first service waits for all that Welcome named: it comes as one update
	for began := time.Now(); ; {
		x.pump()
		if x.peer != nil {
			x.welcome()
			x.feed(keysID, whole)
			x.feed(configID, whole)
			x.heartbeat(nil)
		}
		x.check(x.rt)
		if x.has[configID] == x.m.last(configID) && x.has[keysID] == x.m.last(keysID) && x.servesNewest() {
			return
		}
		if time.Since(began) > limit {
			_, foreign := x.f.Connected()
			x.rt.Fatalf("not at the newest state %v after the last fault: stream %v, foreign %v, has config %d and keys %d, want %d and %d",
				limit, x.peer != nil, foreign, x.revision(configID), x.revision(keysID), x.m.last(configID).revision(), x.m.last(keysID).revision())
		}
		time.Sleep(time.Second)
	}
}
