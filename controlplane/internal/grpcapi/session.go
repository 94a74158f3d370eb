package grpcapi

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"apigateway/controlplane/internal/fleet"
	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// maxCommands bounds the commands that wait for a stream's sender.
const maxCommands = 16

// session is one data plane's stream.
type session struct {
	srv     *syncServer
	stream  gatewayv1.SyncService_SyncServer
	hello   *gatewayv1.Hello
	epoch   string // of the store; another one ends the stream
	foreign string // why nothing is sent; empty: the data plane follows
	departs bool   // its id is another process's by now
	member  *fleet.Member
	welcome *gatewayv1.Welcome
	atStart [2]publish.Have // what Welcome says of each part

	commands chan *gatewayv1.Command
	cut      chan string   // capacity 1: the first reason wins
	wake     chan struct{} // capacity 1: the receiver has news for the sender

	began   time.Time
	heard   atomic.Int64 // nanoseconds from began to the newest message
	sending atomic.Int64 // nanoseconds from began to the start of a send under way; 0: none is

	mu    sync.Mutex
	flows [2]flow
}

// Positions in session.flows and session.atStart.
const (
	configFlow = iota
	keysFlow
)

// parts are the parts by position.
var parts = [2]gatewayv1.Part{configFlow: gatewayv1.Part_PART_CONFIG, keysFlow: gatewayv1.Part_PART_KEYS}

func flowOf(part gatewayv1.Part) int {
	if part == gatewayv1.Part_PART_KEYS {
		return keysFlow
	}
	return configFlow
}

// flow is the traffic of one part: at most one update is under way at a time.
type flow struct {
	have     publish.Have   // what the data plane has taken in
	floor    uint64         // a snapshot must not be of an earlier revision: it would revive keys for a moment
	claimed  bool           // have is what its Hello said, and was not compared with the log yet
	inFlight bool           // update is under way: not yet answered
	update   publish.Update // the newest one
	sent     int            // pieces of it that were handed to the stream
	sentAt   time.Time      // when the newest of them was
	full     bool           // the last update that was taken in was a snapshot
}

// pieces returns the number of messages that the update takes.
func (f *flow) pieces() int {
	if f.update.Kind == publish.Snapshot {
		return len(f.update.Chunks)
	}
	return 1
}

// piece returns message i of the update.
func (f *flow) piece(i int) frame {
	if f.update.Kind == publish.Snapshot {
		return frame{f.update.Chunks[i]}
	}
	run := make(frame, len(f.update.Run))
	for i, record := range f.update.Run {
		run[i] = record
	}
	return run
}

// unanswered reports whether the data plane has all of an update and has not answered it.
func (f *flow) unanswered() bool { return f.inFlight && f.sent == f.pieces() }

// lacking returns what to ask the publisher for.
func (f *flow) lacking() publish.Have {
	if f.have.Ours {
		return f.have
	}
	return publish.Have{Revision: f.floor}
}

// begin puts an update under way.
func (f *flow) begin(u publish.Update) { f.update, f.inFlight, f.sent = u, true, 0 }

// end takes the update as received by the data plane; its bytes are let go.
func (f *flow) end() {
	f.have, f.full, f.inFlight = f.update.To, f.update.Kind == publish.Snapshot, false
	f.update = publish.Update{To: f.have}
}

func newSession(srv *syncServer, stream gatewayv1.SyncService_SyncServer, hello *gatewayv1.Hello) *session {
	return &session{
		srv: srv, stream: stream, hello: hello, began: time.Now(),
		commands: make(chan *gatewayv1.Command, maxCommands), cut: make(chan string, 1), wake: make(chan struct{}, 1),
	}
}

// start notes what the data plane has. Of an earlier epoch that counts only if it is the very content that the store has: then
// the data plane sees so from Welcome, and takes it over into this epoch by itself.
func (ses *session) start(head store.State) {
	for i, part := range parts {
		own := head.Part(part)
		ses.atStart[i] = publish.Have{Revision: own.Revision, Digest: own.Digest, Ours: true}
		ses.flows[i].floor = own.Revision
	}
	for _, p := range ses.hello.GetParts() {
		i := flowOf(p.GetPart())
		digest, _ := gatewayv1.ParseDigest(p.GetDigest()) // checked with the Hello
		f := &ses.flows[i]
		f.have = publish.Have{Revision: p.GetRevision(), Digest: digest, Ours: ses.hello.GetEpoch() == head.Epoch}
		f.claimed = f.have.Ours
		same := digest == ses.atStart[i].Digest && p.GetCount() == head.Part(parts[i]).Count
		if !f.have.Ours && ses.foreign == "" && same {
			f.have = ses.atStart[i]
		}
	}
}

// Command implements fleet.Session.
func (ses *session) Command(cmd *gatewayv1.Command) bool {
	select {
	case ses.commands <- cmd:
		return true
	default:
		return false
	}
}

// Cut implements fleet.Session.
func (ses *session) Cut(reason string) {
	select {
	case ses.cut <- reason:
	default:
	}
}

func (ses *session) wakeSender() {
	select {
	case ses.wake <- struct{}{}:
	default:
	}
}

// overdue says why the stream has to end now, or nothing.
func (ses *session) overdue() string {
	t, now := ses.srv.timings, time.Since(ses.began)
	if silent := now - time.Duration(ses.heard.Load()); silent > 3*t.heartbeat {
		return fmt.Sprintf("sync: silent for %v (want a heartbeat every %v)", silent.Round(time.Millisecond), t.heartbeat)
	}
	if since := time.Duration(ses.sending.Load()); since > 0 && now-since > t.answer {
		return fmt.Sprintf("sync: a message was not read within %v", t.answer)
	}
	ses.mu.Lock()
	defer ses.mu.Unlock()
	for i := range ses.flows {
		f := &ses.flows[i]
		if !f.unanswered() || i == configFlow && ses.keysComingLocked() {
			continue
		}
		if time.Since(f.sentAt) > t.answer {
			return fmt.Sprintf("sync: no answer to revision %d of %v within %v", f.update.To.Revision, parts[i], t.answer)
		}
	}
	return ""
}

// keysComingLocked reports whether the data plane waits for a snapshot of the keys, or gets it. One without keys answers for its
// first configuration when it has them: before, it would refuse everybody.
func (ses *session) keysComingLocked() bool { return !ses.flows[keysFlow].have.Ours }

// clockOffset returns a data plane's wall clock less ours, as NTP measures it: its moment of sending is compared with the middle of
// the round trip (RFC 5905, section 8).
func clockOffset(h *gatewayv1.DataPlaneHeartbeat, now time.Time) time.Duration {
	received := now.UnixMicro()
	var oneWay int64
	if h.GetEchoTimeUs() != 0 {
		oneWay = max(0, received-h.GetEchoTimeUs()-h.GetEchoHeldUs()) / 2
	}
	return time.Duration(h.GetTimeUs()+oneWay-received) * time.Microsecond
}
