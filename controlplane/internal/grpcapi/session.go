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
	foreign string
	member  *fleet.Member
	welcome *gatewayv1.SyncResponse

	commands chan *gatewayv1.Command
	cut      chan string   // capacity 1: the first reason wins
	wake     chan struct{} // capacity 1: the receiver has news for the sender
	lastSeen atomic.Int64  // Unix nanoseconds of the newest message
	pings    pings

	mu    sync.Mutex
	flows [2]flow // config, keys
}

// parts are the parts in the order of session.flows.
var parts = [2]gatewayv1.Part{gatewayv1.Part_PART_CONFIG, gatewayv1.Part_PART_KEYS}

// flow is the traffic of one part: at most one update is under way at a time.
type flow struct {
	have     publish.Have   // what the data plane has taken in
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

// end takes the update as received by the data plane; its bytes are let go.
func (f *flow) end() {
	f.have, f.full, f.inFlight = f.update.To, f.update.Kind == publish.Snapshot, false
	f.update = publish.Update{To: f.have}
}

func newSession(srv *syncServer, stream gatewayv1.SyncService_SyncServer, hello *gatewayv1.Hello) *session {
	ses := &session{
		srv: srv, stream: stream, hello: hello,
		commands: make(chan *gatewayv1.Command, maxCommands), cut: make(chan string, 1), wake: make(chan struct{}, 1),
	}
	ses.lastSeen.Store(time.Now().UnixNano())
	return ses
}

// start notes what the data plane has, as far as it belongs to this store's epoch.
func (ses *session) start(head store.State) {
	for _, p := range ses.hello.GetParts() {
		digest, _ := gatewayv1.ParseDigest(p.GetDigest()) // checked with the Hello
		ses.flows[flowOf(p.GetPart())].have = publish.Have{
			Revision: p.GetRevision(), Digest: digest, Ours: ses.hello.GetEpoch() == head.Epoch,
		}
	}
}

func flowOf(part gatewayv1.Part) int {
	if part == gatewayv1.Part_PART_KEYS {
		return 1
	}
	return 0
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

// overdue says why the stream has to end at now, or nothing.
func (ses *session) overdue(now time.Time) string {
	t := ses.srv.timings
	if silent := now.Sub(time.Unix(0, ses.lastSeen.Load())); silent > 3*t.heartbeat {
		return fmt.Sprintf("sync: silent for %v (want a heartbeat every %v)", silent.Round(time.Millisecond), t.heartbeat)
	}
	ses.mu.Lock()
	defer ses.mu.Unlock()
	for i, f := range ses.flows {
		if f.inFlight && now.Sub(f.sentAt) > t.answer {
			return fmt.Sprintf("sync: no answer to revision %d of %v within %v", f.update.To.Revision, parts[i], t.answer)
		}
	}
	return ""
}

// pings measures the data plane's clock against ours, as NTP does: its moment of sending is compared with the middle of the round trip
// (RFC 5905, section 8).
type pings struct{}

func (pings) offset(h *gatewayv1.DataPlaneHeartbeat, now time.Time) time.Duration {
	received := now.UnixMicro()
	if h.GetEchoTimeUs() == 0 {
		return time.Duration(h.GetTimeUs()-received) * time.Microsecond
	}
	roundTrip := received - h.GetEchoTimeUs() - h.GetEchoHeldUs()
	if roundTrip < 0 {
		roundTrip = 0
	}
	return time.Duration(h.GetTimeUs()+roundTrip/2-received) * time.Microsecond
}
