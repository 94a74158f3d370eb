package grpcapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"apigateway/controlplane/internal/fleet"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// proven reports whether the newest revision of a part is served everywhere.
func (w *world) proven(part gatewayv1.Part) bool {
	return w.fleet.Standing(fleet.Change{Part: part, Revision: w.publisher.State().Part(part).Revision}).Proven
}

func TestFreshDataPlane(t *testing.T) {
	w := newWorld(t, options{})
	p := newPeer(t, "a")
	welcome := p.connect(w)
	head := w.publisher.State()
	if welcome.GetEpoch() != head.Epoch || welcome.GetForeign() != "" || len(welcome.GetParts()) != 2 || welcome.GetTimeUs() == 0 {
		t.Errorf("welcome = %v", welcome)
	}
	w.becomes("a", lagging)
	p.takeBoth()
	w.becomes("a", serving)
	if !p.has("carol") || len(p.contents[configPart].entries) != 3 {
		t.Errorf("it has %d keys and %d config entries", len(p.contents[keysPart].entries), len(p.contents[configPart].entries))
	}
	p.idle(w)
	revision := w.addKey("alice")
	p.take()
	if w.proven(keysPart) {
		t.Error("proven before it was answered")
	}
	p.answer(keysPart)
	w.eventually("alice is served", func() bool { return w.proven(keysPart) })
	if got := p.contents[keysPart].state.GetRevision(); got != revision || !p.has("alice") {
		t.Errorf("it has revision %d, want %d with alice", got, revision)
	}
}

func TestReconnect(t *testing.T) {
	for _, test := range []struct {
		name   string
		before func(w *world, p *peer)
		after  func(w *world, p *peer)
		drifts uint64
	}{
		{"at the head: nothing is sent, and what it serves is proven", nil, func(w *world, p *peer) { p.idle(w) }, 0},
		{"behind: only records", func(w *world, _ *peer) {
			w.addKey("alice")
			w.addKey("bob")
		}, func(_ *world, p *peer) {
			p.take()
			if c := p.contents[keysPart]; c.records != 2 || c.chunks != 1 {
				p.t.Errorf("got %d records and %d chunks in all, want 2 records and the first chunk", c.records, c.chunks)
			}
			p.answer(keysPart)
		}, 0},
		{"another content: a snapshot", func(_ *world, p *peer) {
			c := p.contents[keysPart]
			c.entries, c.state.Digest = nil, gatewayv1.Digest{}.Bytes()
		}, func(w *world, p *peer) {
			w.eventually("the drift is counted", func() bool { return w.fleet.Drifts() == 1 })
			w.becomes("a", lagging)
			p.take()
			if w.proven(keysPart) {
				p.t.Error("a data plane that drifted proves something")
			}
			p.answer(keysPart)
		}, 1},
		{"one part lost: a snapshot of it", func(_ *world, p *peer) { p.contents[keysPart] = &content{} }, func(_ *world, p *peer) {
			p.take()
			p.answer(keysPart)
		}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, options{})
			p := w.joins("a")
			p.leave(w)
			if test.before != nil {
				test.before(w, p)
			}
			p.t = t
			p.connect(w)
			test.after(w, p)
			w.becomes("a", serving)
			if !w.proven(keysPart) || !w.proven(configPart) {
				t.Error("what it serves is not proven")
			}
			p.idle(w)
			if got := w.fleet.Drifts(); got != test.drifts {
				t.Errorf("drifts = %d, want %d", got, test.drifts)
			}
		})
	}
}

// One update of a part is under way at a time; what comes meanwhile is one run of records. The other part is not held up.
func TestOneUpdateInFlight(t *testing.T) {
	w := newWorld(t, options{})
	p := w.joins("a")
	w.addKey("key-0")
	p.take()
	for i := range 20 {
		w.addKey(fmt.Sprintf("key-%d", i+1))
	}
	p.idle(w)
	w.load(configOf("users", "carts"))
	if part := p.take(); part != configPart {
		t.Errorf("got %v, want the configuration", part)
	}
	p.idle(w)
	p.answer(configPart)
	p.answer(keysPart)
	p.take()
	if got := p.contents[keysPart].records; got != 21 { // carol is gone with the file
		t.Errorf("the next run holds %d records, want 21", got)
	}
	p.answer(keysPart)
	w.becomes("a", serving)
}

func TestAnswerNeverComes(t *testing.T) {
	w := newWorld(t, options{timings: timings{hello: time.Hour, answer: 20 * time.Millisecond, heartbeat: time.Second}})
	p := newPeer(t, "a")
	p.connect(w)
	p.take()
	p.take()
	if got := p.ends(); got.Code() != codes.DeadlineExceeded || !strings.HasPrefix(got.Message(), "sync: no answer to revision ") {
		t.Errorf("stream ended with %v", got)
	}
	w.becomes("a", disconnected)
}

func TestSilence(t *testing.T) {
	w := newWorld(t, options{timings: timings{hello: time.Hour, answer: time.Hour, heartbeat: 10 * time.Millisecond}})
	p := newPeer(t, "a")
	p.connect(w)
	if got := p.ends(); got.Code() != codes.DeadlineExceeded || !strings.HasPrefix(got.Message(), "sync: silent for ") {
		t.Errorf("stream ended with %v", got)
	}
}

func TestHeartbeats(t *testing.T) {
	w := newWorld(t, options{timings: timings{hello: time.Hour, answer: time.Hour, heartbeat: 20 * time.Millisecond}})
	p := newPeer(t, "a")
	p.connect(w)
	for beats := 0; beats < 10; { // many times the silence that would end the stream
		m, err := p.stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		beat := m.GetHeartbeat()
		if beat == nil {
			continue
		}
		beats++
		if len(beat.GetParts()) != 2 || beat.GetTimeUs() == 0 {
			t.Errorf("heartbeat = %v", beat)
		}
		p.say(&gatewayv1.DataPlaneHeartbeat{Address: "10.0.0.1:9090", TimeUs: beat.GetTimeUs() + 7_000_000, EchoTimeUs: beat.GetTimeUs()})
	}
	got := w.fleet.Member("a").Describe(w.publisher.State())
	if got.GetAddress() != "10.0.0.1:9090" || got.GetClockOffsetMs() < 6000 || got.GetClockOffsetMs() > 7100 {
		t.Errorf("address %q, clock offset %v ms, want 10.0.0.1:9090 and about 7000 ms", got.GetAddress(), got.GetClockOffsetMs())
	}
}

// A configuration that cannot be served is not sent again, and keys go on.
func TestRejected(t *testing.T) {
	w := newWorld(t, options{})
	p := w.joins("a")
	w.load(configOf("users", "carts"))
	for range 2 { // carol goes with the file
		part := p.take()
		if part == keysPart {
			p.answer(part)
			continue
		}
		p.say(&gatewayv1.Rejected{Part: part, Revision: p.contents[part].state.GetRevision(), Entry: "carts", Reason: "middleware unknown\x1b[31m"})
	}
	w.becomes("a", rejecting)
	got := w.fleet.Member("a").Describe(w.publisher.State())
	if want := fmt.Sprintf("revision %d: carts: middleware unknown [31m", got.GetDesiredRevision()); got.GetReason() != want {
		t.Errorf("reason = %q, want %q", got.GetReason(), want)
	}
	p.idle(w)
	w.addKey("alice")
	p.take()
	p.answer(keysPart)
	w.eventually("alice is served", func() bool { return w.proven(keysPart) })
	// What is built and served is older than what was rejected: to say so again is no offence.
	p.say(&gatewayv1.Applied{Part: configPart, Revision: 2})
	p.say(&gatewayv1.DataPlaneHeartbeat{Serving: []*gatewayv1.PartState{{Part: configPart, Revision: 2}}})
	p.idle(w)
	w.becomes("a", rejecting)
	w.load(configOf("users"))
	if part := p.take(); part != configPart || p.contents[configPart].chunks != 1 {
		t.Errorf("got %v, want records of the configuration", part)
	}
	p.answer(configPart)
	w.becomes("a", serving)
}

func TestReportsThatEndTheStream(t *testing.T) {
	good := gatewayv1.EntryDigest(gatewayv1.Kind_KIND_KEY, "x", nil).Bytes()
	for _, test := range []struct {
		name    string
		script  func(p *peer)
		code    codes.Code
		message string
	}{
		{
			"second Hello", func(p *peer) { p.say(p.hello()) }, codes.InvalidArgument,
			"sync: got Hello (want anything but a second Hello)",
		},
		{
			"nothing at all", func(p *peer) { _ = p.stream.Send(&gatewayv1.SyncRequest{}) }, codes.InvalidArgument,
			"sync: got <nil> (want anything but a second Hello)",
		},
		{
			"applied: no part", func(p *peer) { p.say(&gatewayv1.Applied{Revision: 1}) }, codes.InvalidArgument,
			"applied: got part PART_UNSPECIFIED (want config or keys)",
		},
		{
			"applied: a part that is none", func(p *peer) { p.say(&gatewayv1.Applied{Part: 7, Revision: 1}) }, codes.InvalidArgument,
			"applied: got part 7 (want config or keys)",
		},
		{
			"applied: a revision that nobody sent", func(p *peer) { p.say(&gatewayv1.Applied{Part: keysPart, Revision: 99, Digest: good}) }, codes.InvalidArgument,
			"applied: got revision 99 of PART_KEYS (want 1)",
		},
		{
			"applied: a short digest", func(p *peer) { p.say(&gatewayv1.Applied{Part: keysPart, Revision: 1, Digest: good[:31]}) }, codes.InvalidArgument,
			"applied: digest: got 31 bytes (want 32)",
		},
		{
			"rejected: a revision that nobody sent", func(p *peer) { p.say(&gatewayv1.Rejected{Part: configPart, Revision: 99}) }, codes.InvalidArgument,
			"rejected: got revision 99 of PART_CONFIG (want 2)",
		},
		{
			"heartbeat: no part", func(p *peer) { p.say(&gatewayv1.DataPlaneHeartbeat{Serving: []*gatewayv1.PartState{{}}}) }, codes.InvalidArgument,
			"heartbeat: serving: got part PART_UNSPECIFIED (want config and keys, each at most once)",
		},
		{
			"heartbeat: a long address", func(p *peer) { p.say(&gatewayv1.DataPlaneHeartbeat{Address: strings.Repeat("a", 257)}) }, codes.InvalidArgument,
			"heartbeat: address: got 257 bytes (want at most 256)",
		},
		{"breakers: a long name", func(p *peer) {
			p.say(&gatewayv1.BreakerReport{States: []*gatewayv1.BreakerState{{Service: strings.Repeat("a", 257)}}})
		}, codes.InvalidArgument, "breakers: service: got 257 bytes (want at most 256)"},
		{"applied: another digest after a snapshot", func(p *peer) { p.say(&gatewayv1.Applied{Part: keysPart, Revision: 1, Digest: good}) }, codes.DataLoss, ""},
		{"heartbeat: another digest after a snapshot", func(p *peer) {
			p.say(&gatewayv1.DataPlaneHeartbeat{Serving: []*gatewayv1.PartState{{Part: keysPart, Revision: 1, Digest: good}}})
		}, codes.DataLoss, ""},
		{"an oversized message", func(p *peer) {
			p.say(&gatewayv1.KeyPage{Entries: []*gatewayv1.Entry{{Value: make([]byte, maxReceive+1)}}})
		}, codes.ResourceExhausted, ""},
		{"the end", func(p *peer) { _ = p.stream.CloseSend() }, codes.Unknown, "EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, options{})
			other, p := w.joins("other"), w.joins("a")
			p.t = t
			test.script(p)
			wantStatus(t, p.ends().Err(), test.code, test.message)
			w.becomes("a", disconnected)
			other.idle(w)
		})
	}
}

func TestFirstMessages(t *testing.T) {
	hello := func(change func(h *gatewayv1.Hello)) *gatewayv1.Hello {
		h := newPeer(t, "a").hello()
		change(h)
		return h
	}
	part := func(s *gatewayv1.PartState) *gatewayv1.Hello {
		return hello(func(h *gatewayv1.Hello) { h.Parts = []*gatewayv1.PartState{s} })
	}
	for _, test := range []struct {
		name    string
		hello   *gatewayv1.Hello
		message string
	}{
		{"no id", hello(func(h *gatewayv1.Hello) { h.Id = "" }), "hello: id: got 0 bytes (want 1 to 128)"},
		{"a long id", hello(func(h *gatewayv1.Hello) { h.Id = strings.Repeat("a", 129) }), "hello: id: got 129 bytes (want 1 to 128)"},
		{"a path", hello(func(h *gatewayv1.Hello) { h.Id = "../a" }), `hello: id: got "../a" (want only letters, digits and . _ - :)`},
		{"a line", hello(func(h *gatewayv1.Hello) { h.Id = "a\nb" }), `hello: id: got "a\nb" (want only letters, digits and . _ - :)`},
		{"an umlaut", hello(func(h *gatewayv1.Hello) { h.Id = "ä" }), `hello: id: got "ä" (want only letters, digits and . _ - :)`},
		{"no instance", hello(func(h *gatewayv1.Hello) { h.Instance = "" }), "hello: got no instance"},
		{"a terminal's command", hello(func(h *gatewayv1.Hello) { h.Version = "\x1b[2J" }), `hello: version: got "\x1b[2J" (want only printable characters)`},
		{"a long address", hello(func(h *gatewayv1.Hello) { h.Address = strings.Repeat("a", 257) }), "hello: address: got 257 bytes (want at most 256)"},
		{"a long epoch", hello(func(h *gatewayv1.Hello) { h.Epoch = strings.Repeat("a", 257) }), "hello: epoch: got 257 bytes (want at most 256)"},
		{"too much middleware", hello(func(h *gatewayv1.Hello) { h.Middleware = make([]string, 1001) }), "hello: got 1001 middleware names (want at most 1000)"},
		{"a part that is none", part(&gatewayv1.PartState{Part: 3}), "hello: parts: got part 3 (want config and keys, each at most once)"},
		{"a short digest", part(&gatewayv1.PartState{Part: keysPart, Digest: []byte{1}}), "hello: parts: digest: got 1 bytes (want 32)"},
		{
			"the end of numbers", part(&gatewayv1.PartState{Part: keysPart, Revision: 1<<64 - 1}),
			"hello: parts: got revision 18446744073709551615 of PART_KEYS (want at most 4611686018427387904)",
		},
		{"a part twice", hello(func(h *gatewayv1.Hello) {
			h.Serving = []*gatewayv1.PartState{{Part: keysPart}, {Part: keysPart}}
		}), "hello: serving: got part PART_KEYS (want config and keys, each at most once)"},
		{
			"a rejection of nothing", hello(func(h *gatewayv1.Hello) { h.Rejected = &gatewayv1.Rejected{} }),
			"hello: rejected: got part PART_UNSPECIFIED (want config or keys)",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, options{})
			p := newPeer(t, "a")
			p.dial(w)
			p.say(test.hello)
			wantStatus(t, p.ends().Err(), codes.InvalidArgument, test.message)
			if n := w.fleet.Len(); n != 0 {
				t.Errorf("%d data planes are known, want none", n)
			}
		})
	}
}

func TestNoHello(t *testing.T) {
	w := newWorld(t, options{timings: timings{hello: 10 * time.Millisecond, answer: time.Hour, heartbeat: time.Hour}})
	p := newPeer(t, "a")
	p.dial(w)
	wantStatus(t, p.ends().Err(), codes.DeadlineExceeded, "sync: got no Hello within 10ms")
	p.dial(w)
	p.say(&gatewayv1.Applied{})
	wantStatus(t, p.ends().Err(), codes.InvalidArgument, "sync: got Applied first (want Hello)")
}

func TestDuplicate(t *testing.T) {
	w := newWorld(t, options{})
	first := w.joins("a")
	other := newPeer(t, "a")
	other.dial(w)
	h := other.hello()
	h.Instance = "another one"
	other.say(h)
	got := other.ends()
	if got.Code() != codes.AlreadyExists || !strings.Contains(got.Message(), "held by instance instance of a on 10.0.0.1:8080") {
		t.Errorf("the second instance got %v", got)
	}
	first.idle(w)
	again := newPeer(t, "a")
	again.connect(w)
	wantStatus(t, first.ends().Err(), codes.Aborted, "replaced by a newer stream of the same instance")
	again.takeBoth()
	w.becomes("a", serving)
}
