package grpcapi

import (
	"context"
	"flag"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"apigateway/controlplane/internal/fleet"
	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// The state machine: a control plane with its store, and data planes that keep up, lag, reject, say what is not so, fall silent, read
// nothing, come twice, come from elsewhere. Each of them checks what it is sent (machine_plane_test.go), and after each step nobody is
// counted as serving who did not say so. Once all behave they come to the head.
//
// go test -run TestHostilePlanes ./controlplane/internal/grpcapi -rapid.checks=20000 is the long form; CI runs 2,000.
func TestHostilePlanes(t *testing.T) {
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		_ = checks.Value.Set("30") // the short form
	}
	rapid.Check(t, func(rt *rapid.T) {
		bubble(t, func(t *testing.T) {
			t.Helper()
			x := &machine{rt: rt, w: newWorld(t, options{timings: defaultTimings}), ever: map[string]uint64{}}
			defer x.stop()
			rt.Repeat(map[string]func(*rapid.T){
				"":          x.check,
				"key":       x.key,
				"config":    x.config,
				"join":      x.join,
				"join more": x.join,
				"answer":    x.answer,
				"answers":   x.answer,
				"reject":    x.reject,
				"lie":       x.lie,
				"stale":     x.stale,
				"ahead":     x.ahead,
				"pause":     x.pause,
				"silence":   x.silence,
				"leave":     x.leave,
				"twice":     x.twice,
				"wait":      x.wait,
				"epoch":     x.epoch,
				"rollout":   x.rollout,
			})
			x.heal()
		})
	})
}

// bubble runs a test of rapid in one of synctest. Panics, which rapid ends a run with, are handed over to it: a failure and a lack of
// random bytes from two lines, because it tells one failure from another by where it came from.
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
	rt       *rapid.T
	w        *world
	planes   []*plane // one of each id at most
	watchers []*watcher
	ever     map[string]uint64 // by id and part: the newest revision that was truly reported, by any stream
	count    int
}

func (x *machine) stop() {
	for _, p := range x.planes {
		p.hangUp()
	}
	for _, w := range x.watchers {
		w.end()
	}
	synctest.Wait()
}

// pump lets everything that can happen now happen.
func (x *machine) pump() {
	for again := true; again; {
		synctest.Wait()
		again = false
		for _, p := range x.planes {
			again = p.poll() || again
		}
	}
	for _, w := range x.watchers {
		w.poll(x)
	}
}

func (x *machine) key(*rapid.T) {
	x.count++
	x.w.addKey(fmt.Sprintf("key-%d", x.count))
	x.pump()
}

func (x *machine) config(*rapid.T) {
	x.count++
	x.w.load(configOf("users", fmt.Sprintf("carts-%d", x.count)))
	x.pump()
}

// any returns one of the planes that are so.
func (x *machine) any(t *rapid.T, what func(*plane) bool) *plane {
	var list []*plane
	for _, p := range x.planes {
		if what(p) {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		t.Skip("no such data plane")
	}
	return list[rapid.IntRange(0, len(list)-1).Draw(t, "data plane")]
}

func connected(p *plane) bool { return p.open }

func following(p *plane) bool {
	return p.open && p.reading && p.welcome != nil && p.welcome.GetForeign() == ""
}

// join brings a data plane, new or known. It comes with what it has, with something else, or from elsewhere.
func (x *machine) join(t *rapid.T) {
	var p *plane
	if n := rapid.IntRange(0, 3).Draw(t, "id"); n < len(x.planes) {
		p = x.planes[n]
	} else {
		x.count++
		p = &plane{x: x, id: fmt.Sprintf("edge-%d", len(x.planes)), contents: map[gatewayv1.Part]*content{configPart: {}, keysPart: {}}}
		x.planes = append(x.planes, p)
	}
	if p.open {
		t.Skip("it is here")
	}
	p.instance = fmt.Sprint("instance-", x.count)
	h := p.hello()
	elsewhere := gatewayv1.EntryDigest(1, "elsewhere", nil).Bytes()
	switch rapid.IntRange(0, 5).Draw(t, "with") {
	case 0:
		h.Epoch, h.Parts = "elsewhere", []*gatewayv1.PartState{{Part: keysPart, Revision: 3, Digest: elsewhere}}
	case 1: // the store went back
		h.Epoch, h.Parts = x.w.publisher.State().Epoch, []*gatewayv1.PartState{{Part: configPart, Revision: x.w.publisher.State().Revision + 7, Digest: elsewhere}}
	case 2: // another content
		for _, s := range h.GetParts() {
			s.Digest = elsewhere
		}
	}
	p.connect(h)
	x.pump()
}

// answer has a data plane answer as it should.
func (x *machine) answer(t *rapid.T) {
	p := x.any(t, func(p *plane) bool { return following(p) && len(p.busy) > 0 })
	p.answerAll()
	x.pump()
}

func (x *machine) reject(t *rapid.T) {
	p := x.any(t, func(p *plane) bool { return following(p) && !p.busy[configPart].IsZero() })
	delete(p.busy, configPart)
	p.say(&gatewayv1.Rejected{Part: configPart, Revision: p.contents[configPart].state.GetRevision(), Reason: "does not please"})
	x.pump()
}

// lie has one say that it serves something else. It gets all of it anew, or is cut if it just did.
func (x *machine) lie(t *rapid.T) {
	p := x.any(t, following)
	part := rapid.SampledFrom(parts[:]).Draw(t, "part")
	if p.contents[part].state == nil || len(p.staging()) > 0 {
		t.Skip("it has nothing to lie about")
	}
	delete(p.busy, part)
	p.faulty, p.lacks[part] = true, true
	p.doomed = p.full[part] // it had all of it just now: sending that again would help nobody
	delete(p.told, part)
	p.say(&gatewayv1.Applied{Part: part, Revision: p.contents[part].state.GetRevision(), Digest: gatewayv1.EntryDigest(1, "lie", nil).Bytes()})
	x.pump()
	if p.doomed && p.open && p.reading {
		t.Fatalf("%s served something else after a whole snapshot, and is still here", p.id)
	}
}

// stale has one say that it serves what was long ago: that proves nothing and does no harm.
func (x *machine) stale(t *rapid.T) {
	p := x.any(t, func(p *plane) bool { return following(p) && p.told[keysPart] > 1 && p.busy[keysPart].IsZero() })
	p.say(&gatewayv1.Applied{Part: keysPart, Revision: p.contents[keysPart].state.GetRevision() - 1})
	x.pump()
}

// ahead has one claim what it was never sent.
func (x *machine) ahead(t *rapid.T) {
	p := x.any(t, following)
	p.faulty = true
	p.say(&gatewayv1.Applied{Part: keysPart, Revision: x.w.publisher.State().Revision + 5, Digest: x.w.publisher.State().Keys.Digest.Bytes()})
	x.pump()
	if p.open {
		t.Fatalf("%s claims a revision that there is not, and is still here", p.id)
	}
}

func (x *machine) pause(t *rapid.T) {
	p := x.any(t, connected)
	p.faulty = true
	p.read(!p.reading)
	x.pump()
}

func (x *machine) silence(t *rapid.T) {
	p := x.any(t, connected)
	p.faulty, p.silent = true, true
}

func (x *machine) leave(t *rapid.T) {
	p := x.any(t, connected)
	p.hangUp()
	x.pump()
}

// twice has a second instance come, which is refused, or the same one again, which replaces its earlier stream.
func (x *machine) twice(t *rapid.T) {
	p := x.any(t, func(p *plane) bool { return p.open && p.reading })
	if rapid.Bool().Draw(t, "same instance") {
		old := *p
		p.connect(p.hello())
		x.pump()
		if old.err() == nil {
			t.Fatalf("%s has two streams", p.id)
		}
		return
	}
	second := &plane{x: x, id: p.id, instance: "second", faulty: true, contents: map[gatewayv1.Part]*content{configPart: {}, keysPart: {}}}
	second.connect(second.hello())
	synctest.Wait()
	if second.err() == nil {
		t.Fatalf("a second instance of %s is taken", p.id)
	}
	x.pump()
}

// wait lets time pass. Those that live say so.
func (x *machine) wait(t *rapid.T) {
	for range rapid.IntRange(1, 10).Draw(t, "times 4 s") {
		x.pass()
	}
}

func (x *machine) pass() {
	time.Sleep(4 * time.Second)
	for _, p := range x.planes {
		if p.open && !p.silent {
			p.say(&gatewayv1.DataPlaneHeartbeat{Serving: p.states()})
		}
	}
	x.pump()
	for _, p := range x.planes {
		if why := p.overdue(); p.open && p.reading && why != "" {
			x.rt.Fatalf("%s is still here: %s", p.id, why)
		}
	}
}

// epoch begins a new one, which takes those from elsewhere in.
func (x *machine) epoch(*rapid.T) {
	var extra []store.Ancestor
	newest := x.w.publisher.State().Revision
	for _, p := range x.planes {
		p.faulty = true
		if m := x.w.fleet.Member(p.id); m != nil {
			if reason, holds := m.Foreign(); reason != "" {
				extra = append(extra, holds)
				newest = max(newest, holds.Revision)
			}
		}
	}
	if _, err := x.w.publisher.BeginEpoch(context.Background(), extra, newest); err != nil {
		x.rt.Fatal(err)
	}
	x.pump()
}

// check compares what the fleet takes as proven with what was said.
func (x *machine) check(t *rapid.T) {
	head := x.w.publisher.State()
	for _, part := range parts {
		for _, revision := range []uint64{max(1, head.Part(part).Revision/2), max(1, head.Part(part).Revision)} {
			s := x.w.fleet.Standing(fleet.Change{Part: part, Revision: revision})
			applied := map[string]bool{}
			for _, a := range s.Rollout.GetApplied() {
				applied[a.GetDataplane()] = true
			}
			for _, p := range x.planes {
				switch told := p.told[part] >= revision; {
				case applied[p.id] && (!p.open || !told):
					t.Fatalf("%s counts as serving revision %d of %v, it told %d", p.id, revision, part, p.told[part])
				case told && following(p) && !p.doomed && !applied[p.id]:
					t.Fatalf("%s does not count as serving revision %d of %v, it told %d", p.id, revision, part, p.told[part])
				}
			}
			if s.Proven && len(s.Rollout.GetApplied()) == 0 {
				t.Fatalf("revision %d of %v is proven by nobody", revision, part)
			}
		}
	}
}

// heal has all behave and waits for the head.
func (x *machine) heal() {
	x.epoch(nil)
	x.config(nil)
	x.key(nil)
	const rounds = 20
	for range rounds {
		for _, p := range x.planes {
			if !p.open || p.faulty {
				p.hangUp()
				synctest.Wait()
				p.connect(p.hello())
			}
			x.pump()
			for following(p) && len(p.busy) > 0 {
				p.answerAll()
				x.pump()
			}
		}
		x.pass()
		x.check(x.rt)
		if x.atHead() {
			return
		}
	}
	for _, p := range x.planes {
		x.rt.Logf("%s: %+v", p.id, p)
	}
	x.rt.Fatalf("not at the head %d s after the last fault", rounds*4)
}

func (x *machine) atHead() bool {
	head := x.w.publisher.State()
	for _, part := range parts {
		for _, p := range x.planes {
			if c := p.contents[part]; c.state.GetRevision() != head.Part(part).Revision || c.digest() != head.Part(part).Digest {
				return false
			}
		}
		if len(x.planes) > 0 && !x.w.proven(part) {
			return false
		}
	}
	return true
}
